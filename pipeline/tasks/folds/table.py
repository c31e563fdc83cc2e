"""One table of all training cases, each scored by the network that has not seen its subject."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.atomic import write_text_aside
from pipeline.bundle import Bundle, keeps_last
from pipeline.metrics import Evaluation, Reliability, Tolerance, read_evaluation, write_evaluation
from pipeline.tasks.folds.record import FoldsRecord, FoldState

if TYPE_CHECKING:
    from pipeline.metrics import Tally

__all__ = ["TABLES", "Table", "out_of_fold_rule", "write_tables"]

TABLES = ("cases.csv", "metrics.json", "confusion.csv", "calibration.csv")


@dataclass(frozen=True)
class Table:
    """What the table says.

    Attributes:
        summary: As in `metrics.json`.
        cases: Images.
        subjects: Subjects that they belong to.
    """

    summary: dict[str, Any]
    cases: int
    subjects: int

    @property
    def figures(self) -> dict[str, float]:
        """Dice over all cases, for the record of the run."""
        means = {name: part["per_image"]["dice"]["mean"] for name, part in self.summary.items()}
        return {f"out_of_fold_dice_{name}": value for name, value in means.items() if value is not None}


def out_of_fold_rule(last: bool) -> str:
    """What the figures are of.

    Args:
        last: Whether the folds keep the weights of their last validation, which no score has chosen.
    """
    weights = (
        "That network has the weights of its last validation, whatever their Dice on the same fold."
        if last
        else "The epoch of that network was chosen by its mean Dice on the same fold, which makes the figures a little "
        "higher than those of new cases."
    )
    return (
        f"Each case is scored by the one network that was trained without its subject. {weights} They are figures of "
        "single networks; an ensemble of the folds is not measured by them."
    )


def write_tables(record: FoldsRecord, states: Sequence[FoldState]) -> Table:
    """Put the folds' tables together in the cross-validation's folder, as an evaluation that others can read.

    The masks stay with the folds; the column "mask" says where.
    """
    parts = [read_evaluation(record.folder(state.fold) / "eval") for state in states]
    from pipeline.metrics import Tally  # which imports MONAI

    tally = Tally(dict(enumerate(parts[0].record["classes"])), Tolerance.of(parts[0].record["nsd_tolerance"]))
    for state, part in zip(states, parts, strict=True):
        _add(tally, part, state.fold)
    about = {"bundle": record.bundle, "data": record.data, "split": "out of fold"}
    # The record last: where metrics.json is, all the rest is.
    content = write_evaluation(record.root, tally, about, overwrite=True)
    content["rules"]["out_of_fold"] = out_of_fold_rule(keeps_last(Bundle(record.root / "bundle", record.bundle)))
    content["folds"] = [
        {"fold": state.fold, "best_epoch": state.best_epoch, "best_metric": state.best_metric} for state in states
    ]
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_text_aside(record.root / "metrics.json", text)
    return Table(content["summary"], content["n_cases"], content["n_subjects"])


def _add(tally: Tally, part: Evaluation, fold: int) -> None:
    """Add the cases of a fold to those of the others."""
    rows = part.cases.assign(fold=fold)
    rows["mask"] = [f"fold{fold}/eval/{name}" if name else "" for name in rows["mask"]]
    tally.rows += rows.to_dict("records")
    tally.images += list(dict.fromkeys(rows["image"]))
    tally.confusion += part.confusion.to_numpy(dtype=np.int64)
    if part.calibration is not None:
        tally.reliability.merge(_reliability(part))


def _reliability(part: Evaluation) -> Reliability:
    """The counts of pixels that a fold's calibration.csv was made of."""
    bins = part.calibration
    if bins is None:
        return Reliability()
    counts = Reliability(len(bins))
    counts.pixels += bins["pixels"].to_numpy(dtype=np.int64)
    counts.confidence += bins["pixels"].to_numpy() * bins["confidence"].fillna(0.0).to_numpy()
    counts.correct += (bins["pixels"] * bins["accuracy"].fillna(0.0)).round().to_numpy(dtype=np.int64)
    return counts
