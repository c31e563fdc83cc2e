"""Which cases to show: typical ones, and those at the ends of what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipeline.fingerprint.figures import CaseFigures

__all__ = ["telling_cases"]

TYPICAL = 3
MOST = 14
# How far from the median, in robust standard deviations, a case must lie to be shown for it.
REMARKABLE = 3.0
# More classes than this are not shown one by one.
FEW_CLASSES = 4

Measure = Callable[[CaseFigures], float]


def telling_cases(cases: Sequence[CaseFigures], labels: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Cases worth a look, with what each is shown for; typical ones first.

    Args:
        cases: The figures of all cases.
        labels: Class names by index, background first.
    Returns: (place in `cases`, reasons), each case once.
    """
    if not cases:
        return []
    shown: dict[int, list[str]] = {}
    measures: list[Measure] = [_foreground, lambda case: case.mean, lambda case: case.std, _size, _objects]
    measures += [lambda case: _centre(case, 0), lambda case: _centre(case, 1)]
    distance = sum(np.nan_to_num(_robust(_values(cases, measure)), nan=9.0) ** 2 for measure in measures)
    for place in np.argsort(distance, kind="stable")[:TYPICAL].tolist():
        shown[place] = ["typical"]
    for place, reason in _ends(cases, labels):
        if place in shown or len(shown) < MOST:
            shown.setdefault(place, []).append(reason)
    return list(shown.items())


def _ends(cases: Sequence[CaseFigures], labels: Sequence[str]) -> list[tuple[int, str]]:
    """The cases at the ends, the most important ends first."""
    found: list[tuple[int, str]] = []

    def look(measure: Measure, lowest: str, highest: str, least: float = 0.0) -> None:
        values = _values(cases, measure)
        if np.isfinite(values).sum() < 2 or np.nanmin(values) == np.nanmax(values):
            return
        far = _robust(values)
        for name, place in ((lowest, int(np.nanargmin(values))), (highest, int(np.nanargmax(values)))):
            if name and abs(far[place]) >= least:
                found.append((place, name))

    several = len(labels) > 2
    for index, label in enumerate(labels):
        if 0 < index <= FEW_CLASSES and several:
            look(partial(_share, index=index), f"smallest {label}", f"largest {label}")
    if not several or len(labels) > FEW_CLASSES + 1:
        look(_foreground, "smallest foreground", "largest foreground")
    look(lambda case: case.mean, "darkest", "brightest")
    look(lambda case: case.std, "least contrast", "most contrast", REMARKABLE / 2)
    without = [place for place, case in enumerate(cases) if case.foreground is None]
    found += [(place, "no class at all") for place in without[:2]]
    for index, label in enumerate(labels):
        lacking = [place for place, case in enumerate(cases) if case.foreground and index not in case.regions]
        # Where a class is missing from most cases, its absence is nothing to show.
        if index and lacking and len(lacking) < len(cases) / 2:
            found.append((lacking[0], f"no {label}"))
    look(_objects, "", "most objects", REMARKABLE)
    look(_size, "smallest picture", "largest picture", REMARKABLE)
    look(lambda case: case.shape[1] / case.shape[0], "widest picture", "tallest picture", REMARKABLE)
    look(lambda case: _centre(case, 0), "furthest to the left", "furthest to the right", REMARKABLE)
    look(lambda case: _centre(case, 1), "highest up", "lowest down", REMARKABLE)
    return found


def _values(cases: Sequence[CaseFigures], measure: Measure) -> NDArray[np.float64]:
    return np.array([measure(case) for case in cases], np.float64)


def _robust(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances from the median in standard deviations as the quartiles tell them."""
    low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75]) if np.isfinite(values).any() else (0.0, 0.0, 0.0)
    spread = (high - low) / 1.349
    if spread <= 0:
        spread = max(float(np.nanstd(values)) if np.isfinite(values).any() else 0.0, 1e-12)
    return np.asarray((values - middle) / spread)


def _share(case: CaseFigures, index: int) -> float:
    region = case.regions.get(index)
    return math.log(region.area / case.pixels) if region else math.nan


def _foreground(case: CaseFigures) -> float:
    return math.log(case.foreground.area / case.pixels) if case.foreground else math.nan


def _size(case: CaseFigures) -> float:
    return math.log(case.longest)


def _objects(case: CaseFigures) -> float:
    return math.log(1 + sum(region.n_objects for region in case.regions.values()))


def _centre(case: CaseFigures, axis: int) -> float:
    return case.foreground.centroid[axis] if case.foreground else math.nan
