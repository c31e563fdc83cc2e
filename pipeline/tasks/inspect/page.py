"""Pictures for the page of an inspection, and the page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datalist import Finding
from pipeline.fingerprint import TURNS, telling_cases, turned
from pipeline.overlays import colour_of, draw_overlay, to_grey
from pipeline.readers import read_picture
from pipeline.report.fingerprint_page import PairShown, SampleShown, SetShown, fingerprint_page
from pipeline.report.page import number, percent, picture_uri, write_page
from pipeline.report.pictures import read_case
from pipeline.tasks.inspect.measuring import Look
from pipeline.tasks.inspect.run import Inspected, Inspection, refuse_existing

__all__ = ["write_inspection_page"]

LONGEST = 320
MOST_PAIRS = 24


def write_inspection_page(inspection: Inspection, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write the page of an inspection: one HTML file.

    Raises: OutputExists: if the file is there and may not be replaced.
    """
    refuse_existing(path, overwrite)
    labels = inspection.datalist.labels
    figures = [case.figures for case in inspection.cases]
    told = telling_cases(figures, labels)
    pairs = inspection.fingerprint["near_duplicates"][:MOST_PAIRS]
    shown = SetShown(
        fingerprint=inspection.fingerprint,
        names=[case.name for case in inspection.cases],
        cases=figures,
        histograms=inspection.histograms,
        samples=[_sample(inspection.cases[place], reasons, labels) for place, reasons in told],
        pairs=[_pair(pair, inspection.looks) for pair in pairs],
        colours={label: colour_of(index) for index, label in enumerate(labels) if index},
        refused=[*_short(inspection.datalist.refused), *inspection.failed],
        warnings=_short(inspection.datalist.warnings),
    )
    write_page(path, fingerprint_page(shown))


def _sample(case: Inspected, reasons: list[str], labels: list[str]) -> SampleShown:
    look, figures = case.look, case.figures
    item: dict[str, Any] = {"image": look.image, "label": list(look.masks), "label_coding": look.coding}
    picture = read_case(item, (), LONGEST)
    outlined = draw_overlay(picture.detail, picture.reference)
    lines = [f"{figures.shape[0]} × {figures.shape[1]} px, mean {number(figures.mean)}"]
    lines += [
        f"{labels[index]}: {percent(region.area / figures.pixels, 2)} of the picture, {region.n_objects} objects"
        for index, region in sorted(figures.regions.items())
    ]
    if picture.box is not None:
        reasons = [*reasons, "cut out"]
    return SampleShown(picture_uri(picture.detail), picture_uri(outlined), case.name, reasons, "\n".join(lines))


def _pair(pair: Mapping[str, Any], looks: Mapping[str, Look]) -> PairShown:
    how, _, inverted = str(pair["how"]).partition(", inverted")
    del inverted  # shown as it is stored, or the pair would not look inverted
    first, second = (_small(looks[pair[side]]) for side in ("a", "b"))
    return PairShown(picture_uri(first, longest=LONGEST), _laid_uri(second, TURNS.index(how)), pair)


def _small(look: Look) -> NDArray[np.uint8]:
    return to_grey(read_picture(look.image, voi=True).array)


def _laid_uri(picture: NDArray[np.uint8], turn: int) -> str:
    if picture.ndim == 3:
        picture = np.moveaxis(turned(np.moveaxis(picture, -1, 0), turn), 0, -1)
    else:
        picture = turned(picture, turn)
    return picture_uri(np.ascontiguousarray(picture), longest=LONGEST)


def _short(findings: list[Finding]) -> list[Finding]:
    """Findings without the folders above the file: they are the machine's business."""
    return [Finding(finding.file.rsplit("/", 1)[-1], finding.code, finding.reason) for finding in findings]
