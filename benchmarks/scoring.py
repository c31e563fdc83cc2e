"""Masks of any tool, scored as `planar evaluate` scores its own: the same functions, rules and files.

Each peer gets an evaluation folder (`cases.csv`, `metrics.json`, `masks/` …), which `planar report` and
`planar compare` read like any other.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.cases import Case, mask_path, read_saved
from pipeline.metrics import Evaluation, Tally, paired_differences, read_evaluation, write_evaluation

__all__ = ["COMPARED", "difference", "score"]

COMPARED = ("dice", "hd95")


def score(
    cases: Sequence[Case],
    labels: Mapping[int, str],
    masks: Path,
    folder: Path,
    about: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Score the masks of one peer.

    Args:
        cases: The test cases.
        labels: Class index → name, background 0.
        masks: Folder with a mask of each case; see `benchmarks.cases.save_mask`.
        folder: Of the evaluation; one that is there is replaced.
        about: What the record should say of the peer: "bundle", "data", "split".

    Raises:
        MissingFile: if a mask is not there.
        GeometryMismatch: if it has another size than its picture.
    """
    tally = Tally(labels)
    for case in cases:
        tally.add(
            case.shown,
            read_saved(case, masks),
            case.reference(),
            subject=case.subject,
            image_sha256=case.image_sha256,
            spacing_mm=case.picture().spacing_mm,
            mask=f"masks/{mask_path(masks, case).name}",
        )
    aside = folder / f".part-{os.getpid()}-masks"
    try:
        shutil.copytree(masks, aside)
        write_evaluation(folder, tally, about, masks=aside, overwrite=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return read_evaluation(folder)


def difference(ours: Evaluation, theirs: Evaluation, label: str, metric: str) -> dict[str, Any]:
    """Ours minus theirs of one class, subject by subject: mean, bootstrap interval, and in how many ours is better."""
    found = asdict(paired_differences(theirs.cases, ours.cases, metric, label))
    del found["by_subject"]
    return found
