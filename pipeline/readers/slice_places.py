"""What is unusual about where the slices of a volume lie: arithmetic on their positions alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["PLACE_MM", "evenly_placed", "passes_of", "remarks_on_places"]

# Steps between slices that differ by more than this part of their median are uneven: a slice may be missing.
UNEVEN = 0.1
# How near to a whole number of usual steps a gap must be to say how many slices are missing.
NEARLY_WHOLE = 0.15
ROUNDED_MM = 0.11
# Where more of the steps are longer than usual, slices are not missing: they lie otherwise.
MOST_GAPS = 0.34
# Smaller angles come from rounded positions.
TILT_DEGREES = 0.5
SIDEWAYS_MM = 0.5
# Slices nearer than this lie at one place.
PLACE_MM = 0.01


def remarks_on_places(positions: npt.NDArray[np.float64], cosines: Sequence[float]) -> list[str]:
    """What a user should know before the slices are taken for one regular volume, one line each.

    Args:
        positions: ImagePositionPatient of each slice, mm, shape (n, 3), n > 1, in their order along the normal.
        cosines: ImageOrientationPatient, 6 numbers.
    Returns: Lines on missing or uneven slices, a tilted gantry, slices beside one another; empty for a regular volume.
    """
    normal = np.cross(cosines[:3], cosines[3:])
    told = _uneven(np.diff(positions @ normal))
    whole = positions[-1] - positions[0]
    along = abs(float(whole @ normal))
    across = float(np.linalg.norm(whole - (whole @ normal) * normal))
    tilt = np.degrees(np.arctan2(across, along))
    # Where each slice would lie if they followed one another on a straight line, by its height.
    share = (positions - positions[0]) @ normal / (whole @ normal)
    sideways = positions - positions[0] - share[:, np.newaxis] * whole
    apart = float(np.linalg.norm(sideways, axis=1).max())
    if apart > SIDEWAYS_MM:
        told.append(f"Slices lie up to {apart:.1f} mm beside the line of the others: no straight stack.")
    elif tilt > TILT_DEGREES:
        told.append(
            f"The gantry was tilted by {tilt:.1f}°: slices are sheared against one another, which the affine says. "
            "Nothing was resampled."
        )
    return told


def evenly_placed(heights: npt.NDArray[np.float64], *, gaps: bool = False) -> bool:
    """Whether slices follow one another in even steps, one a place: two at least, in any order.

    Args:
        heights: Place of each along the normal, mm.
        gaps: Slices may be missing: steps that are nearly whole multiples of the usual one are even too.
    """
    steps = np.diff(np.sort(heights))
    if len(steps) == 0 or steps.min() <= PLACE_MM:
        return False
    if gaps:
        wholes = np.maximum(np.rint(steps / np.median(steps)), 1)
        if np.mean(wholes > 1) > MOST_GAPS:
            return False
        steps = steps / wholes
    # Positions of thin slices may be rounded to a tenth of a millimetre.
    return bool(np.ptp(steps) <= max(UNEVEN * np.median(steps), ROUNDED_MM))


def _are_even(steps: npt.NDArray[np.float64]) -> bool:
    return bool(np.ptp(steps) <= UNEVEN * np.median(steps))


def _uneven(steps: npt.NDArray[np.float64]) -> list[str]:
    if _are_even(steps):
        return []
    usual = float(np.median(steps))
    span = f"Slices lie {steps.min():.2f} to {steps.max():.2f} mm apart"
    ratio = steps / usual
    gaps = np.flatnonzero(ratio > 1 + UNEVEN)
    if np.abs(ratio - np.rint(ratio)).max() < NEARLY_WHOLE and ratio.min() > 1 - UNEVEN:
        missing = int((np.rint(ratio) - 1).sum())
        first = int(gaps[0]) + 1
        return [
            f"{span}: {missing} slice{'s' * (missing > 1)} seem{'s' * (missing == 1)} to be missing, the first after "
            f"slice {first} of {len(steps) + 1}. The mean is taken: places are off by up to {_off(steps):.1f} mm."
        ]
    return [f"{span}, the mean is taken: places are off by up to {_off(steps):.1f} mm. Is a slice missing?"]


def _off(steps: npt.NDArray[np.float64]) -> float:
    """How far a slice lies from where the regular grid puts it, mm."""
    heights = np.concatenate([[0.0], np.cumsum(steps)])
    return float(np.abs(heights - np.linspace(0, heights[-1], len(heights))).max())


def passes_of(heights: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """For each slice how many before it lie at its place: 0 for the first pass over the patient, 1 for the second."""
    ascending = np.argsort(heights, kind="stable")
    places = np.zeros(len(heights), np.intp)
    places[ascending[1:]] = np.cumsum(np.diff(heights[ascending]) > PLACE_MM)
    passes = np.zeros(len(heights), np.intp)
    seen: Counter[int] = Counter()
    for k, place in enumerate(places.tolist()):
        passes[k] = seen[place]
        seen[place] += 1
    return passes
