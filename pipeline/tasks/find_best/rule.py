"""When a change to the masks is kept: the rule, on numbers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.metrics.bootstrap import LEVEL, RESAMPLES, bootstrap_interval

__all__ = ["LEAST_CHANGED", "LEAST_GAIN", "RULE", "Interval", "Verdict", "mean_interval", "verdict"]

Array = npt.NDArray[np.float64]

# What shows in a table with three decimals.
LEAST_GAIN = 0.0005
# Of six subjects that all change for the better, chance does as well in 1 of 32 cases, seen from both sides; of five it
# does in 1 of 16.
LEAST_CHANGED = 6
TIE = 1e-9

RULE = (
    "A change is kept only if out-of-fold Dice improves by it. Gains are paired: a subject's mean Dice with the change "
    "less that without it. Of the candidates the one with the largest mean gain is looked at. It is kept if its mean "
    f"gain is at least {LEAST_GAIN}; the bootstrap interval of the mean ({RESAMPLES} resamples of subjects) lies above "
    f"0, at the level {LEVEL:.0%} for one candidate and 1 − {1 - LEVEL:.2f} / n for the best of n; at least "
    f"{LEAST_CHANGED} subjects change; no other class loses on average, nor the class itself over the images that show "
    f"it; and mean and {LEVEL:.0%} interval hold for the leave-fold-out gain too, in which the candidate for the "
    "subjects of each fold is chosen on the other folds alone. "
    "Otherwise, ties included, nothing is changed. A class that is absent from both masks of an image counts as Dice 1 "
    "here, so that removing a false region from an image without the class is a gain. The sizes and numbers that "
    "candidates have come from the reference masks of all folds."
)


@dataclass(frozen=True)
class Interval:
    """A mean over subjects with its bootstrap interval, whose ends are None for fewer than two subjects."""

    mean: float
    low: float | None
    high: float | None

    @property
    def above_zero(self) -> bool:
        """Whether all of it is."""
        return self.low is not None and self.low > 0

    def __str__(self) -> str:
        ends = f" [{self.low:+.4f}, {self.high:+.4f}]" if self.low is not None and self.high is not None else ""
        return f"{self.mean:+.4f}{ends}"


@dataclass(frozen=True)
class Verdict:
    """What the rule says of some candidates.

    Attributes:
        best: Number of the candidate with the largest gain; None if there is none that gains.
        kept: Whether it is kept.
        why: If not, what it fails.
        gain: Of the best candidate, over all subjects; that of the first one if none gains.
        leave_fold_out: The gain of choosing, each fold by the others.
        changed: Subjects that change under the best candidate.
    """

    best: int | None
    kept: bool
    why: str
    gain: Interval
    leave_fold_out: Interval
    changed: int


def mean_interval(values: Array, level: float = LEVEL) -> Interval:
    """Mean and bootstrap interval of one value a subject."""
    return Interval(float(values.mean()), *bootstrap_interval(values, level=level))


def verdict(gains: Array, folds: Sequence[int], others: Array | None = None) -> Verdict:
    """Apply the rule.

    Args:
        gains: Of each subject under each candidate, (subjects, candidates).
        folds: Each subject's fold.
        others: Gains of what must not lose by it, such as the other classes, (subjects, candidates, classes); None if
            they do not change.
    """
    fold_of = np.asarray(folds)
    losses = np.zeros((*gains.shape, 1)) if others is None or not others.size else others
    best = _best(gains, losses)
    nested = np.zeros(len(gains))
    for fold in np.unique(fold_of):
        own = fold_of == fold
        chosen = _best(gains[~own], losses[~own]) if not own.all() else None
        if chosen is not None:
            nested[own] = gains[own, chosen]
    shown = gains[:, best or 0]
    gain, left_out = mean_interval(shown), mean_interval(nested)
    # The best of many is good by chance more often than one is (Bonferroni).
    sure = mean_interval(shown, 1 - (1 - LEVEL) / gains.shape[1]).above_zero
    changed = int((np.abs(shown) > TIE).sum())
    why = _failed(best, gain, sure, left_out, changed)
    if best is None and (gains.mean(axis=0) > TIE).any():
        why = "a class loses by it, or is lost where it is shown"
    return Verdict(best, not why, why, gain, left_out, changed)


def _best(gains: Array, losses: Array) -> int | None:
    """The candidate with the largest mean gain, of those that gain and by which nothing else loses."""
    means = np.where((losses.mean(axis=0) < -TIE).any(axis=-1), -np.inf, gains.mean(axis=0))
    chosen = int(means.argmax())
    return chosen if means[chosen] > TIE else None


def _failed(best: int | None, gain: Interval, sure: bool, left_out: Interval, changed: int) -> str:
    if best is None:
        return "no gain"
    if gain.mean < LEAST_GAIN:
        return f"less than {LEAST_GAIN}"
    if changed < LEAST_CHANGED:
        return f"only {changed} subjects change"
    if not sure:
        return "within chance"
    if left_out.mean < LEAST_GAIN or not left_out.above_zero:
        return "does not hold when each fold is left out of its choice"
    return ""
