"""Small copies of pictures, by which they are compared with one another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.fingerprint.case import grey_of

__all__ = ["SIDE", "TURNS", "shrunk", "thumbnail", "turned"]

SIDE = 96

# The ways to lay a picture down on another one, as `turned` numbers them.
TURNS = (
    "as it is",
    "mirrored left to right",
    "turned by 90°",
    "turned by 90° and mirrored",
    "turned by 180°",
    "mirrored top to bottom",
    "turned by 270°",
    "turned by 270° and mirrored",
)


def thumbnail(image: NDArray[Any], side: int = SIDE) -> NDArray[np.uint8] | None:
    """A picture as `side` × `side` mean grey values, stretched to 0–255; None if it shows nothing.

    Args:
        image: (W, H) or (W, H, 3); what is not finite counts as the lowest value.
        side: Pixels along each side, whatever the picture's proportions.
    """
    grey = grey_of(image)
    if grey.dtype.kind == "f":
        finite = np.isfinite(grey)
        if not finite.any():
            return None
        grey = np.where(finite, grey, grey[finite].min())
    small = shrunk(grey, side)
    low, high = float(small.min()), float(small.max())
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        return None
    return np.rint((small - low) * (255 / (high - low))).astype(np.uint8)


def shrunk(grey: NDArray[Any], side: int) -> NDArray[np.float64]:
    """Means over `side` × `side` boxes of a picture (W, H); a smaller picture has its pixels repeated first."""
    for axis in (0, 1):
        if grey.shape[axis] < side:
            grey = np.repeat(grey, -(-side // grey.shape[axis]), axis=axis)
    edges = [np.linspace(0, length, side + 1).astype(int) for length in grey.shape]
    sums = np.add.reduceat(grey, edges[1][:-1], axis=1, dtype=np.float64)
    sums = np.add.reduceat(sums, edges[0][:-1], axis=0)
    return np.asarray(sums / np.outer(np.diff(edges[0]), np.diff(edges[1])))


def turned(pictures: NDArray[Any], turn: int) -> NDArray[Any]:
    """Square pictures, shape (…, n, n), laid down as `TURNS[turn]` says."""
    quarter = np.rot90(pictures, turn // 2, axes=(-2, -1))
    return quarter[..., ::-1, :] if turn % 2 else quarter
