"""CT of the phantom: a stack of axial slices in HU, with the exact label of every voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom.quadrics import Array
from pipeline.phantom.thorax import Thorax

__all__ = ["CtSeries", "ct_series"]

SLICES = 16


@dataclass(frozen=True)
class CtSeries:
    """One series; arrays indexed [to the left, to the back, upwards].

    Attributes:
        hu: With noise, int16, shape (W, H, D).
        labels: Class indices of `pipeline.phantom.Label` at the voxel centres, uint8, shape (W, H, D).
        affine: From voxel indices to RAS+ mm, shape (4, 4).
        noise_hu: Standard deviation of the noise.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    affine: Array
    noise_hu: float

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along the three axes, mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)


def ct_series(body: Thorax, *, seed: int | list[int] = 0, size: int = 256, slices: int = SLICES) -> CtSeries:
    """Axial slices through the lungs.

    Args:
        body: The phantom.
        seed: Any seed of `numpy.random.default_rng`: field of view, spacing, noise.
        size: Rows and columns.
        slices: Number of slices; they cover the lungs whatever their number.
    """
    rng = np.random.default_rng(seed)
    pixel = round(rng.uniform(385, 430) / size, 4)
    step = round(rng.uniform(280, 310) * body.habitus.scale[2] / slices, 2)
    left, back = rng.normal(0, 5, size=2)
    affine = np.diag([-pixel, -pixel, step, 1.0])
    # Rounded to what the DICOM files hold, so that their geometry is this one to the last digit.
    half = pixel * (size - 1) / 2
    affine[:3, 3] = np.round([half - left, half - back, -10 - step * (slices - 1) / 2], 3)
    hu, labels = body.ct((size, size, slices), affine)
    noise_hu = float(rng.uniform(8, 22))
    hu += noise_hu * rng.standard_normal(hu.shape, dtype=np.float32)
    return CtSeries(np.clip(np.round(hu), -1024, 3071).astype(np.int16), labels, affine, noise_hu)
