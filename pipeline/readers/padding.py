"""Pixels that fill up a round or slanted field to a rectangle.

References: DICOM PS3.3, C.7.5.1.1.2 (Pixel Padding Value and Pixel Padding Range Limit).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["padding_of", "padding_remark"]


def padding_of(ds: Any, pixels: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Which stored pixels are padding, or None if none are.

    Args:
        ds: The data set.
        pixels: Stored values.
    """
    if pixels.dtype.kind not in "iu":
        return None
    value = _as_stored(ds.get("PixelPaddingValue"), pixels.dtype)
    if value is None:
        return None
    limit = _as_stored(ds.get("PixelPaddingRangeLimit"), pixels.dtype)
    low, high = sorted((value, value if limit is None else limit))
    padding: npt.NDArray[np.bool_] = (pixels >= low) & (pixels <= high)
    return padding if padding.any() else None


def padding_remark(values: npt.NDArray[Any], padding: npt.NDArray[np.bool_] | None) -> str:
    """What a user should know of the padding: nothing where it is darker than the picture, as the standard has it."""
    if padding is None or padding.all():
        return ""
    brightest = values[padding].max()
    if brightest <= values[~padding].max():
        return ""
    share = np.count_nonzero(padding) / padding.size
    return f"{share:.1%} of the pixels are padding with {brightest:g}, brighter than the picture itself."


def _as_stored(value: Any, dtype: np.dtype[Any]) -> int | None:
    """A padding value as the pixels' type holds it: its VR is often guessed with the wrong sign."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        return None
    bits = 8 * dtype.itemsize
    number &= 2**bits - 1
    return number - 2**bits if dtype.kind == "i" and number >= 2 ** (bits - 1) else number
