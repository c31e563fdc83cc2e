"""The size at which a network sees a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.errors import UnsupportedImage

__all__ = ["size_at_longest", "size_at_spacing"]


def size_at_longest(shape: Sequence[int], longest: int) -> tuple[int, int]:
    """Width and height in pixels of a picture when its longer side has another length.

    Args:
        shape: (W, H), pixels.
        longest: Wanted, pixels.
    References: `monai.transforms.Resize`, size_mode="longest", whose rounding is Python's.
    """
    scale = longest / max(shape)
    width, height = (round(side * scale) for side in shape)
    return width, height


def size_at_spacing(
    shape: Sequence[int], spacing_mm: Sequence[float], target_mm: float, limit: int = 8192
) -> tuple[int, int]:
    """Width and height in pixels of a picture when its pixels have another size.

    Args:
        shape: (W, H), pixels.
        spacing_mm: Of the picture (x, y), mm.
        target_mm: Wanted, mm.
        limit: Largest side that is believed.
    Raises: UnsupportedImage: if the spacing is unknown or leads to a size that no picture has.
    """
    if not all(math.isfinite(value) and value > 0 for value in spacing_mm):
        raise UnsupportedImage(
            "its pixel spacing is unknown; this bundle works at "
            f"{target_mm:g} mm a pixel. Give a file that has it (DICOM, NIfTI, MHA), or a bundle planned without."
        )
    width, height = (max(1, round(n * mm / target_mm)) for n, mm in zip(shape, spacing_mm, strict=True))
    if max(width, height) > limit:
        raise UnsupportedImage(
            f"its pixel spacing of {spacing_mm[0]:g}×{spacing_mm[1]:g} mm makes it {width}×{height} pixels at "
            f"{target_mm:g} mm; expected at most {limit}. Check the spacing."
        )
    return width, height
