"""How sure a mean is, by drawing the subjects again and again."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["INTERVAL_RULE", "LEVEL", "RESAMPLES", "SEED", "bootstrap_interval", "bootstrap_intervals", "interval_rule"]

RESAMPLES = 5000
SEED = 0
LEVEL = 0.95

# Draws that are held at once: 32 MiB of numbers, so that ten thousand subjects need no more memory than fifty.
CHUNK = 4_000_000

Array = npt.NDArray[np.float64]


def interval_rule(resamples: int = RESAMPLES, seed: int = SEED, level: float = LEVEL) -> str:
    """What the intervals are, in words."""
    return (
        f"{level:.0%} intervals of the mean: percentile bootstrap, {resamples} resamples of subjects with replacement, "
        f"seed {seed}; a subject that is drawn comes with all of its images, in the means over images too. None for "
        "fewer than two subjects. They speak of other subjects from the same source, not of other hospitals or of "
        "another training."
    )


INTERVAL_RULE = interval_rule()


def bootstrap_interval(
    values: Sequence[float] | npt.NDArray[np.floating] | pd.Series,
    subjects: Sequence[Hashable] | npt.NDArray[np.generic] | pd.Series | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = LEVEL,
) -> tuple[float | None, float | None]:
    """Percentile bootstrap interval of a mean.

    Args:
        values: One number a case; NaN is left out.
        subjects: Whom each belongs to: subjects are drawn, with all that is theirs. None: each value is a subject.
        resamples: Number of draws.
        seed: The same seed gives the same interval, in whatever order the values come.
        level: Share of the resampled means between the two ends.
    Returns: Lower and upper end; None, None for fewer than two subjects.
    References: Efron and Tibshirani, An introduction to the bootstrap, 1993, chapter 13.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if subjects is None:
        numbers = np.sort(numbers)
        owners = np.arange(len(numbers))
    else:
        owners = pd.factorize(np.asarray(subjects), sort=True)[0]
    sums, counts = _by_owner(numbers, owners)
    ((low, high),) = bootstrap_intervals(sums[:, None], counts[:, None], resamples=resamples, seed=seed, level=level)
    return low, high


def bootstrap_intervals(
    sums: Array, counts: Array, *, resamples: int = RESAMPLES, seed: int = SEED, level: float = LEVEL
) -> list[tuple[float | None, float | None]]:
    """Intervals of many means over the same subjects, from the same draws.

    Args:
        sums: For each subject and column the sum of its values, (subjects, columns).
        counts: How many values that sum has, 0 where the subject has none; the same shape.
        resamples: Number of draws.
        seed: Of the draws.
        level: Share of the resampled means between the two ends.
    Returns: For each column the lower and the upper end; None, None for fewer than two subjects with values.
    """
    if len(sums) == 0:
        return [(None, None)] * sums.shape[1]
    means = np.concatenate([_means(drawn, sums, counts) for drawn in _draws(len(sums), resamples, seed)])
    ends = ((1 - level) / 2, (1 + level) / 2)
    enough = (counts > 0).sum(axis=0) >= 2
    found: list[tuple[float | None, float | None]] = []
    for column, known in zip(means.T, enough, strict=True):
        there = column[~np.isnan(column)] if known else column[:0]
        if there.size == 0:
            found.append((None, None))
        else:
            low, high = np.quantile(there, ends)
            found.append((float(low), float(high)))
    return found


def _draws(subjects: int, resamples: int, seed: int) -> Iterator[Array]:
    """How often each subject is drawn, (some resamples, subjects), until there are enough."""
    rng = np.random.default_rng(seed)
    at_once = max(1, CHUNK // subjects)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = rng.integers(subjects, size=(rows, subjects))
        drawn += np.arange(rows)[:, None] * subjects
        yield np.bincount(drawn.ravel(), minlength=rows * subjects).reshape(rows, subjects).astype(np.float64)


def _means(drawn: Array, sums: Array, counts: Array) -> Array:
    # A resample without a single value has no mean: 0 / 0.
    with np.errstate(invalid="ignore"):
        return np.asarray((drawn @ sums) / (drawn @ counts))


def _by_owner(values: Array, owners: npt.NDArray[np.integer]) -> tuple[Array, Array]:
    known = ~np.isnan(values)
    size = int(owners.max()) + 1 if len(owners) else 0
    counts = np.bincount(owners[known], minlength=size).astype(np.float64)
    return np.bincount(owners[known], weights=values[known], minlength=size).astype(np.float64), counts
