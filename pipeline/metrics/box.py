"""The box around a mask: most of a film is neither lung nor counted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["bounding_box"]


def bounding_box(mask: npt.NDArray[np.bool_]) -> tuple[slice, ...] | None:
    """The smallest box that holds all of a mask, a slice an axis; None if the mask is empty."""
    box = []
    for axis in range(mask.ndim):
        there = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        if there.size == 0:
            return None
        box.append(slice(int(there[0]), int(there[-1]) + 1))
    return tuple(box)
