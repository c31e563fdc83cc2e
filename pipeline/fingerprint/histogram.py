"""Histograms of values whose range nobody knows beforehand: exact for integers, fine for floats, and they add up.

Pooling is done in whole numbers, so that the order of the cases and the number of processes change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Histogram", "Pool", "histograms_by_class"]

# Floats are counted in steps of 2⁻⁹ of their power of two, so that a value is off by 0.1 % at most.
KEPT_MANTISSA = 9
DROPPED_BITS = 23 - KEPT_MANTISSA
# More bins than this (32 MB) are not laid out in full: the values that occur are numbered first.
MOST_BINS = 1 << 22
PIXELS_AT_ONCE = 1 << 20
# Each case weighs this much in a pool, however many pixels it has.
CASE_WEIGHT = 1 << 36
# A pool adds up what it was given when it holds this many bins.
BINS_KEPT = 1 << 19


@dataclass(frozen=True, eq=False)
class Histogram:
    """Distinct values and how often each occurs.

    Attributes:
        values: Ascending, shape (n,), float64.
        counts: Shape (n,), int64, all above 0.
    """

    values: NDArray[np.float64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[Any]) -> Histogram:
        """The histogram of an array; what is not finite is left out."""
        return histograms_by_class(values, np.zeros(values.shape, np.uint8), 1)[0]

    @classmethod
    def empty(cls) -> Histogram:
        """No values at all."""
        return cls(np.empty(0), np.empty(0, np.int64))

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    def quantile(self, share: float) -> float:
        """The smallest value that at least this share of the values do not exceed."""
        cumulated = np.cumsum(self.counts)
        place = int(np.searchsorted(cumulated, share * float(cumulated[-1]), side="left"))
        return float(self.values[min(place, len(self.values) - 1)])

    def mean(self) -> float:
        """Mean of the values."""
        return float(np.average(self.values, weights=self.counts))

    def std(self) -> float:
        """Standard deviation of the values."""
        return float(np.sqrt(np.average((self.values - self.mean()) ** 2, weights=self.counts)))

    def share_at(self, place: int) -> float:
        """The share of the lowest (0) or highest (-1) value."""
        return float(self.counts[place] / self.counts.sum())


def histograms_by_class(values: NDArray[Any], classes: NDArray[np.uint8], n_classes: int) -> list[Histogram]:
    """The histogram of the values in each class.

    Args:
        values: Any shape, of integers or floats; what is not finite is left out.
        classes: Class indices, the same shape, below `n_classes`.
    Returns: One histogram a class, empty for a class that is not there.
    """
    flat, labels = values.reshape(-1), classes.reshape(-1)
    floats = values.dtype.kind == "f"
    if floats and not (finite := np.isfinite(flat)).all():
        flat, labels = flat[finite], labels[finite]
    if not flat.size:
        return [Histogram.empty() for _ in range(n_classes)]
    lowest, highest = (int(_codes(np.asarray([end]))[0]) for end in (flat.min(), flat.max()))
    found = np.arange(lowest, highest + 1)
    sparse = len(found) * n_classes > MOST_BINS
    if sparse:
        found = np.unique(_codes(flat))
    table = np.zeros(n_classes * len(found), np.int64)
    for start in range(0, flat.size, PIXELS_AT_ONCE):
        codes = _codes(flat[start : start + PIXELS_AT_ONCE])
        places = np.searchsorted(found, codes) if sparse else codes - lowest
        places += labels[start : start + PIXELS_AT_ONCE].astype(np.int64) * len(found)
        table += np.bincount(places, minlength=len(table))
    meant = _floats_of(found) if floats else found.astype(np.float64)
    rows = table.reshape(n_classes, len(found))
    return [Histogram(meant[row > 0], row[row > 0]) for row in rows]


class Pool:
    """Histograms added up.

    Args:
        equal: Give each histogram the same weight, however much it has counted; otherwise each count counts.
    """

    def __init__(self, *, equal: bool) -> None:
        self.equal = equal
        self._parts: list[Histogram] = []
        self._held = 0

    def add(self, histogram: Histogram) -> None:
        """Add one; an empty one adds nothing."""
        if not len(histogram.values):
            return
        weight = max(1, CASE_WEIGHT // histogram.total) if self.equal else 1
        self._parts.append(Histogram(histogram.values, histogram.counts * weight))
        self._held += len(histogram.values)
        if self._held > BINS_KEPT and len(self._parts) > 1:
            self._add_up()

    def result(self) -> Histogram:
        """The sum of all that was added."""
        if not self._parts:
            return Histogram.empty()
        self._add_up()
        return self._parts[0]

    def _add_up(self) -> None:
        self._parts = [added(self._parts)]
        # What cannot be made smaller must not be added up again with each small addition.
        self._held = 0


def added(histograms: Iterable[Histogram]) -> Histogram:
    """One histogram of all counts."""
    parts = list(histograms)
    values, places = np.unique(np.concatenate([part.values for part in parts]), return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, places, np.concatenate([part.counts for part in parts]))
    return Histogram(values, counts)


def _codes(values: NDArray[Any]) -> NDArray[np.int64]:
    """Whole numbers in the order of the values, equal for floats that share sign, exponent and leading bits."""
    if values.dtype.kind != "f":
        return values.astype(np.int64)
    bits = (values.astype(np.float32) + np.float32(0)).view(np.int32).astype(np.int64)  # adding 0 makes -0 into 0
    ordered = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    return (ordered + (1 << (DROPPED_BITS - 1))) >> DROPPED_BITS


def _floats_of(codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The values in the middle of what has these codes."""
    bits = (np.abs(codes) << DROPPED_BITS).astype(np.int32)
    return np.copysign(bits.view(np.float32).astype(np.float64), codes)
