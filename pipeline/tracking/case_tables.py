"""The tables of an evaluation as they are recorded: cases instead of file names, digests instead of masks."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.digests import file_sha256
from pipeline.tracking.privacy import Pseudonyms
from pipeline.tracking.record import Record

__all__ = ["log_table", "recorded_text"]


def log_table(record: Record, path: Path, names: Pseudonyms, folder: str = "tables") -> None:
    """Log a table of an evaluation, or any other file; one that is not there is left out.

    Of `cases.csv` and `metrics.json` the column `image` becomes `case`, and `mask` becomes `mask_sha256`: the digest of
    the mask's file.
    """
    if path.name in ("cases.csv", "metrics.json") and path.is_file():
        record.text(recorded_text(path, names), f"{folder}/{path.name}")
    else:
        record.file(path, folder)


def recorded_text(path: Path, names: Pseudonyms) -> str:
    """What is recorded of a table that is there; of one that names no case, its text as it is."""
    if path.name == "cases.csv":
        return _cases(path, names)
    return _metrics(path, names) if path.name == "metrics.json" else path.read_text(encoding="utf-8")


def _cases(path: Path, names: Pseudonyms) -> str:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [_without_names(row, names, path.parent) for row in csv.DictReader(lines)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["case"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _metrics(path: Path, names: Pseudonyms) -> str:
    content = names.scrubbed(
        {
            key: [_without_names(row, names, path.parent) for row in value] if key == "cases" else value
            for key, value in json.loads(path.read_text(encoding="utf-8")).items()
        }
    )
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _without_names(row: Mapping[str, Any], names: Pseudonyms, folder: Path) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    for key, value in row.items():
        if key == "image":
            clean["case"] = names.case(str(value), str(row.get("image_sha256") or ""))
        elif key == "image_sha256":  # a datalist of another tool has none
            clean[key] = value or names.digest(str(row.get("image") or ""))
        elif key == "mask":
            mask = folder / str(value)
            clean["mask_sha256"] = file_sha256(mask) if value and mask.is_file() else ""
        elif key == "subject":
            clean[key] = names.subject(str(value)) if value else value
        else:
            clean[key] = value
    return clean
