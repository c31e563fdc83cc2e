"""The one number of a run that people ask for first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.tracking.facts import RunFacts

__all__ = ["SELECTING", "Headline", "headline_of"]

# What the best checkpoint is chosen by.
SELECTING = "val_mean_dice"
OUT_OF_FOLD = "out_of_fold_dice_"
# Not "mean_dice": runs have a metric of that name, by MONAI's rule for images without a class, and of another value.
OVER_CLASSES = "mean of dice_CLASS"


@dataclass(frozen=True)
class Headline:
    """A number with what it is.

    Attributes:
        metric: Its name.
        value: The number.
        step: The epoch of these weights; None for a number of the whole run.
    """

    metric: str
    value: float
    step: int | None = None


def headline_of(run: RunFacts) -> Headline | None:
    """The validation Dice of the weights that a training kept; the mean over the classes of another run.

    None for a run that has none, such as an inference, or a training before its first validation.
    """
    kept = run.kept(SELECTING)
    if kept is not None:
        return Headline(SELECTING, kept.value, kept.step)
    out_of_fold = run.latest(f"{OUT_OF_FOLD}mean_of_classes")
    if out_of_fold is not None:
        return Headline(f"{OUT_OF_FOLD}mean_of_classes", out_of_fold)
    by_class = [name for name in run.metrics if name.startswith("dice_")]
    values = [value for name in by_class if (value := run.latest(name)) is not None and math.isfinite(value)]
    if not values:
        return None
    return Headline(by_class[0] if len(by_class) == 1 else OVER_CLASSES, _mean(values))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
