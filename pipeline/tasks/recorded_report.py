"""The report of an evaluation as it goes into the record: of cases, and not of files with names."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.archives import open_binary
from pipeline.datalist import Datalist, Finding, load_cases, read_datalist, write_datalist
from pipeline.errors import PlanarError
from pipeline.fragments import fragment_of, split_fragment
from pipeline.readers import stem_of
from pipeline.tasks.report import write_report

if TYPE_CHECKING:
    from pipeline.tracking import Pseudonyms, RunRecorder

__all__ = ["RecordedReport"]

COPIED = ("confusion.csv", "calibration.csv")


class RecordedReport:
    """Writes the report of an evaluation once more, for its MLflow run.

    The evaluation's tables and the datalist are copied aside with cases for names, and links of such names lead to the
    pictures; so nothing that the page is made of has a name that it could show.

    Args:
        folder: What was evaluated: `output_dir` of evaluate.yaml.
        split: Part of the datalist.
        bundle: The bundle, for curves and settings.
        wanted: Whether there is to be one; it takes some seconds.
    """

    def __init__(self, folder: str, split: str, bundle: str, wanted: bool = True) -> None:
        self.folder = Path(folder)
        self.split = split
        self.bundle = bundle
        self.wanted = wanted

    def __call__(self, recorder: RunRecorder) -> None:
        """Write the page into the run, if the evaluation has come to its end."""
        if not (self.wanted and recorder.ended_well and (self.folder / "metrics.json").is_file()):
            return
        with tempfile.TemporaryDirectory(prefix="planar-report-") as aside:
            try:
                page = self._write(Path(aside), recorder.names, recorder.datalist)
            except (PlanarError, OSError) as error:
                said = recorder.names.scrub(str(error))
                logging.getLogger(__name__).warning("The run has no report: %s", said)
                return
            recorder.record.file(page, "report", clean=True)

    def _write(self, aside: Path, names: Pseudonyms, datalist: Path | None) -> Path:
        evaluation, data = aside / "evaluation", aside / "data"
        for folder in (evaluation / "masks", data):
            folder.mkdir(parents=True)
        called = _link_cases(datalist, self.split, data, names) if datalist is not None and datalist.is_file() else {}
        rows = _read(self.folder / "cases.csv")
        clean = [self._without_names(row, called, names, evaluation) for row in rows]
        text = io.StringIO()
        writer = csv.DictWriter(text, list(clean[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(clean)
        (evaluation / "cases.csv").write_text(text.getvalue(), encoding="utf-8")
        record = json.loads((self.folder / "metrics.json").read_text(encoding="utf-8"))
        record = names.scrubbed({key: value for key, value in record.items() if key != "cases"})
        (evaluation / "metrics.json").write_text(json.dumps(record), encoding="utf-8")
        for name in COPIED:
            if (self.folder / name).is_file():
                shutil.copyfile(self.folder / name, evaluation / name)
        source = data / "datalist.json"
        write_report(
            evaluation, aside / "report.html", bundle=self.bundle, datalist=source if source.is_file() else None
        )
        return aside / "report.html"

    def _without_names(
        self, row: Mapping[str, str], called: Mapping[str, str], names: Pseudonyms, evaluation: Path
    ) -> dict[str, Any]:
        image = called.get(row["image"]) or names.case(row["image"], row.get("image_sha256", ""))
        clean = {**row, "image": image, "subject": names.subject(row["subject"])}
        if row.get("mask"):
            mask = f"masks/{_case_of(image)}.png"
            if not os.path.lexists(evaluation / mask):
                (evaluation / mask).symlink_to((self.folder / row["mask"]).absolute())
            clean["mask"] = mask
        return clean


def _link_cases(datalist: Path, split: str, folder: Path, names: Pseudonyms) -> dict[str, str]:
    """Write the part of a datalist that was evaluated with cases for names, and links of such names to its files.

    Returns: What an image is called there, by its name in the datalist.
    """
    content = read_datalist(datalist)
    items, called = [], {}
    for written, item in zip(content.part(split), load_cases(datalist, split), strict=True):
        case = names.case(str(written["image"]), str(item.get("image_sha256", "")))
        image = _link(item["image"], folder, case)
        called[str(written["image"])] = image
        labels = item["label"] if isinstance(item["label"], list) else [item["label"]]
        linked = [_link(label, folder, f"{case}-mask{number or ''}") for number, label in enumerate(labels)]
        label = linked if isinstance(item["label"], list) else linked[0]
        subject = {"subject": names.subject(str(item["subject"]))} if item.get("subject") else {}
        items.append({**item, "image": image, "label": label, **subject})
    refused = [Finding("a file", finding.code, finding.code) for finding in content.refused]
    clean = Datalist(
        names.scrub(content.name),
        content.labels,
        content.modality,
        split=content.split,
        refused=refused,
    )
    clean.part(split).extend(items)
    write_datalist(clean, folder / "datalist.json")
    return called


def _link(path: str, folder: Path, name: str) -> str:
    """A link to a file, or to the folder of a series, under another name; a slice keeps its number.

    What lies in an archive is copied: its name there may say whose it is.
    """
    whole = Path(split_fragment(path)[0])
    link = folder / f"{name}{whole.name[len(stem_of(whole)) :]}"
    if not os.path.lexists(link) and not whole.exists():
        with open_binary(whole) as member, link.open("wb") as copy:
            shutil.copyfileobj(member, copy)
    elif not os.path.lexists(link):
        link.symlink_to(whole.absolute())
    return f"{link.name}{fragment_of(path)}"


def _case_of(image: str) -> str:
    file, number = split_fragment(image)
    return stem_of(file) if number is None else f"{stem_of(file)}_{number}"


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
