"""Colours as DICOM wants them: CIELab, as a profile connection space has it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["cielab_of"]

# Linear sRGB to XYZ under D50, the white of a profile connection space (Bradford-adapted from D65).
SRGB_TO_XYZ = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
WHITE = np.array([0.9642200, 1.0000000, 0.8252100])
FULL = 65535


def cielab_of(colour: Sequence[int]) -> list[int]:
    """RecommendedDisplayCIELabValue of a colour.

    Args:
        colour: Red, green and blue of sRGB, 0 to 255.
    Returns: L*, a* and b*, each in 16 bits: 0 to 100, −128 to 127 and −128 to 127 over 0 to 65535.
    References: DICOM PS3.3, C.10.7.1.1; IEC 61966-2-1 (sRGB); CIE 15 (CIELab).
    """
    encoded = np.asarray(colour, dtype=float) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    ratio = SRGB_TO_XYZ @ linear / WHITE
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    lightness, a, b = 116 * y - 16, 500 * (x - y), 200 * (y - z)
    scaled = (lightness * FULL / 100, (a + 128) * FULL / 255, (b + 128) * FULL / 255)
    return [round(float(np.clip(value, 0, FULL))) for value in scaled]
