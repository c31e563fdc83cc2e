"""The tables of evaluations that are no runs, as one small zip file: joined classes, case by case."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

from pipeline.atomic import written_aside
from pipeline.metrics import read_evaluation
from pipeline.tracking import Pseudonyms
from pipeline.tracking.case_tables import recorded_text

__all__ = ["LIST", "pack_united"]

LIST = "tables.json"
TABLES = ("cases.csv", "confusion.csv", "metrics.json")
# The same tables give the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


def pack_united(evaluations: Iterable[Path], out: Path) -> None:
    """Write the tables of evaluations as a run would record them: cases instead of file names, no masks, no pictures.

    Of each evaluation there is a folder of its name; its `metrics.json` has the digest of the weights. `tables.json`
    has the SHA-256 of every file.

    Args:
        evaluations: Folders of `score_united`.
        out: The zip file; one that is there is replaced.
    """
    files: dict[str, bytes] = {}
    for folder in evaluations:
        record = read_evaluation(folder).record
        names = Pseudonyms.of(record["cases"], folder, record["classes"])
        for table in TABLES:
            files[f"{folder.name}/{table}"] = recorded_text(folder / table, names).encode("utf-8")
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    first = {LIST: (json.dumps(listed, indent=2) + "\n").encode("utf-8")}
    with written_aside(out) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [*first.items(), *sorted(files.items())]:
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.external_attr, info.compress_type = 3, 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
