"""How large each class of a mask is, and what the image holds in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LabelStatistics", "label_statistics"]

MM3_PER_ML = 1000.0


@dataclass(frozen=True)
class LabelStatistics:
    """One class of one mask.

    Attributes:
        index, name: The class.
        pixels: Pixels, or voxels of a volume.
        slices: Slices that have the class.
        area_mm2: Of a picture; None where the pixel size is unknown, and for a volume.
        volume_ml: Of a volume; None where the size of a voxel is unknown, and for a picture.
        mean, sd, minimum, median, maximum: Of the image's values in it; None where the class is empty or no value is
            finite. `sd` is that of the population.
    """

    index: int
    name: str
    pixels: int
    slices: int
    area_mm2: float | None
    volume_ml: float | None
    mean: float | None
    sd: float | None
    minimum: float | None
    median: float | None
    maximum: float | None


def label_statistics(
    image: NDArray[Any],
    mask: NDArray[Any],
    labels: Mapping[int, str],
    *,
    pixel_mm2: float | None = None,
    voxel_mm3: float | None = None,
) -> list[LabelStatistics]:
    """The statistics of each class but the background, those that the mask does not have included.

    Args:
        image: (W, H), (W, H, D), or with three colours last, whose mean is a pixel's value.
        mask: Class indices, (W, H) or (W, H, D).
        labels: Class index → name.
        pixel_mm2: Area of a pixel of a picture, mm².
        voxel_mm3: Size of a voxel of a volume, mm³.
    """
    return [
        _of_one(image, mask == index, index, name, pixel_mm2, voxel_mm3)
        for index, name in sorted(labels.items())
        if index != 0
    ]


def _of_one(
    image: NDArray[Any],
    region: NDArray[np.bool_],
    index: int,
    name: str,
    pixel_mm2: float | None,
    voxel_mm3: float | None,
) -> LabelStatistics:
    pixels = int(np.count_nonzero(region))
    flat = region.ndim == 2
    slices = min(pixels, 1) if flat else int(region.any(axis=(0, 1)).sum())
    values = image[region].astype(np.float64)
    if values.ndim == 2:
        values = values.mean(axis=1)
    values = values[np.isfinite(values)]
    figures: tuple[float | None, ...] = (None,) * 5
    if values.size:
        figures = tuple(map(float, (values.mean(), values.std(), values.min(), np.median(values), values.max())))
    mean, sd, minimum, median, maximum = figures
    return LabelStatistics(
        index=index,
        name=name,
        pixels=pixels,
        slices=slices,
        area_mm2=pixels * pixel_mm2 if flat and pixel_mm2 is not None else None,
        volume_ml=pixels * voxel_mm3 / MM3_PER_ML if not flat and voxel_mm3 is not None else None,
        mean=mean,
        sd=sd,
        minimum=minimum,
        median=median,
        maximum=maximum,
    )
