"""The description of a run: the first that MLflow's pages show, for someone who was not there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pipeline import __version__

__all__ = ["NOTE", "OF_FOLDS", "note_of"]

NOTE = "mlflow.note.content"
# A description is a tag, and no longer than one: of many classes the first are named.
MOST_CLASSES = 6

OF = {
    "training": "Training of",
    "evaluation": "Evaluation of",
    "inference": "Inference with",
    "cross-validation": "Cross-validation of",
}
# What a run's numbers by class begin with.
DICE, OUT_OF_FOLD = "dice_", "out_of_fold_dice_"
# Mean and deviation of what the folds came to; neither is the Dice of a class.
OF_FOLDS = "_of_folds"


def note_of(
    kind: str,
    bundle: str,
    run_id: str,
    *,
    data: str | None = None,
    cases: Mapping[str, int] | None = None,
    best: tuple[int, float] | None = None,
    values: Mapping[str, float] | None = None,
    resumes: str | None = None,
) -> str:
    """What was done to what, what came out, and how it is checked, in Markdown.

    Args:
        kind: Of the run, such as "training".
        bundle: Name of the bundle.
        run_id: The run.
        data: Name of the datalist, if there is one.
        cases: Number of cases by part; a training, and a cross-validation, hold back the test part.
        best: Epoch and score of the validation whose weights are kept.
        values: Numbers of the run; those that are the Dice of a class are told.
        resumes: The run that is resumed.
    """
    lines = [f"{OF.get(kind, kind.capitalize() or 'Run of')} `{bundle}`{_given(kind, data, cases or {})}."]
    if resumes is not None:
        lines.append(f"Resumes {resumes}.")
    if best is not None:
        lines.append(f"Mean Dice of the validation of its weights: **{best[1]:.4f}**, epoch {best[0]}.")
    if told := _dice(values or {}):
        lines.append(f"Dice: {', '.join(told)}.")
    # Two paragraphs: the pages show three lines and hide the rest.
    check = f"Planar {__version__}. Is it still true? `planar audit verify {run_id[:12]}`"
    return f"{' '.join(lines)}\n\n{check}"


def _given(kind: str, data: str | None, cases: Mapping[str, int]) -> str:
    named = f" on `{data}`" if data else ""
    held_back = cases.get("test", 0) if kind in ("training", "cross-validation") else 0
    counts = [f"{count} {part}" for part, count in cases.items() if count and not (held_back and part == "test")]
    told = f": {', '.join(counts)} cases" if counts else ""
    return f"{named}{told}{f' ({held_back} test cases held back)' if held_back else ''}"


def _dice(values: Mapping[str, float]) -> Sequence[str]:
    for start in (OUT_OF_FOLD, DICE):
        found = {name.removeprefix(start): value for name, value in values.items() if name.startswith(start)}
        finite = [f"{name} **{value:.4f}**" for name, value in found.items() if math.isfinite(value)]
        if finite:
            more = len(finite) - MOST_CLASSES
            return [*finite[:MOST_CLASSES], *([f"{more} more"] if more > 0 else [])]
    return []
