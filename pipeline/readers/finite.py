"""Values that are no numbers, in pictures that go to a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["finite_values"]


def finite_values(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A picture's values, in which NaN and −∞ are the least finite value and +∞ the greatest.

    Reconstructions and registrations write NaN where nothing was measured. One of them would make the picture's mean
    and percentiles no numbers, and its whole mask background.

    Args:
        array: Any shape; stays as it is.
    Returns: The same array where all is finite, or nothing is.
    """
    if array.dtype.kind != "f":
        return array
    finite = np.isfinite(array)
    if finite.all() or not finite.any():
        return array
    least, greatest = array[finite].min(), array[finite].max()
    return np.nan_to_num(array, nan=least, posinf=greatest, neginf=least)
