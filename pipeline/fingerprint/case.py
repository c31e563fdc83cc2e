"""What is kept of one case: a few hundred numbers, whatever the size of its picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.fingerprint.histogram import Histogram, histograms_by_class
from pipeline.fingerprint.regions import Region, classes_inside, measure_region

__all__ = ["CaseMeasures", "grey_of", "is_coloured", "measure_case"]

# ITU-R BT.601 in thousandths, as `pipeline.transforms.AsChannelsd` makes grey of colour.
LUMA = (299, 587, 114)
# A film stored in colour may carry a coloured mark, and JPEG shifts its channels by a few steps: grey all the same.
# Channels differ where they lie further apart than this share of the picture's range, in this share of its pixels.
CHANNELS_APART = 0.04
COLOURED_PIXELS = 0.01


@dataclass(frozen=True, eq=False)
class CaseMeasures:
    """The measures of one case.

    Attributes:
        shape: (W, H).
        spacing_mm: Pixel size (x, y), mm, or None.
        dtype: Type of the stored pixels.
        container: Format of the file ("PNG", "DICOM" …).
        coloured: Whether it has three channels that differ.
        grey_as_colour: Whether it has three channels that are the same.
        intensity: Histogram of the grey values of each class, background first.
        channels: Histograms of red, green and blue if it is coloured, otherwise of the grey values alone.
        regions: Measures by class, for the classes that occur.
        foreground: Measures of all classes together, None if there are none.
        inside: Pairs (a, b) of classes in which a lies within b.
    """

    shape: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    dtype: str
    container: str
    coloured: bool
    grey_as_colour: bool
    intensity: tuple[Histogram, ...]
    channels: tuple[Histogram, ...]
    regions: Mapping[int, Region]
    foreground: Region | None
    inside: tuple[tuple[int, int], ...] = field(default=())


def measure_case(
    image: NDArray[Any],
    mask: NDArray[np.uint8],
    n_classes: int,
    spacing_mm: tuple[float, float] | None = None,
    container: str = "",
) -> CaseMeasures:
    """Measure a picture and its mask.

    Args:
        image: (W, H) or (W, H, 3), as stored.
        mask: Class indices below `n_classes`, (W, H).
        n_classes: Number of classes with the background.
        spacing_mm: Pixel size (x, y), mm, or None where it is unknown.
        container: Format of the file.
    """
    coloured = is_coloured(image)
    grey = grey_of(image)
    intensity = tuple(histograms_by_class(grey, mask, n_classes))
    counts = np.bincount(mask.ravel(), minlength=n_classes)
    present = [index for index in range(1, n_classes) if counts[index]]
    background = mask == 0
    regions = {index: measure_region(mask == index, background) for index in present}
    foreground = regions[present[0]] if len(present) == 1 else measure_region(~background, background)
    return CaseMeasures(
        shape=(int(image.shape[0]), int(image.shape[1])),
        spacing_mm=spacing_mm,
        dtype=image.dtype.name,
        container=container,
        coloured=coloured,
        grey_as_colour=image.ndim == 3 and not coloured,
        intensity=intensity,
        channels=tuple(Histogram.of(image[..., k]) for k in range(3)) if coloured else (),
        regions={index: region for index, region in regions.items() if region is not None},
        foreground=foreground,
        inside=tuple(classes_inside(mask, present)),
    )


def is_coloured(image: NDArray[Any]) -> bool:
    """Whether a picture has three channels that differ in more than a mark or a step of JPEG."""
    if image.ndim != 3:
        return False
    highest, lowest = image.max(axis=2), image.min(axis=2)
    apart = highest.astype(np.float32) - lowest
    spread = float(highest.max()) - float(lowest.min())
    return bool(np.count_nonzero(apart > CHANNELS_APART * spread) > COLOURED_PIXELS * apart.size)


def grey_of(image: NDArray[Any]) -> NDArray[Any]:
    """The grey values of a picture: itself, or the luma of its colours, rounded where these are whole numbers.

    Args:
        image: (W, H) or (W, H, 3).
    Returns: (W, H), of the same kind.
    """
    if image.ndim == 2:
        return image
    if image.dtype.kind == "f":
        return image @ np.asarray(LUMA, image.dtype) / np.asarray(sum(LUMA), image.dtype)
    # In whole numbers, so that every machine rounds alike.
    red, green, blue = (image[..., k].astype(np.int32) * weight for k, weight in enumerate(LUMA))
    red += green
    red += blue
    return ((red + sum(LUMA) // 2) // sum(LUMA)).astype(image.dtype)
