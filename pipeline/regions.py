"""Connected regions of masks, and masks without some of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["only_largest", "regions_of", "without_small"]

Classes = npt.NDArray[Any]
CORNERS = 2  # connectivity of the plane by edges or corners; 1 is by edges alone


def regions_of(
    mask: npt.NDArray[np.bool_], connectivity: int = CORNERS
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The connected regions of a mask.

    Args:
        mask: (W, H).
        connectivity: 2 for pixels that share an edge or a corner, 1 for an edge.
    Returns: The number of each pixel's region, 0 outside, (W, H); and the pixels of each region from the first.
    """
    regions, count = ndimage.label(mask, structure=ndimage.generate_binary_structure(2, connectivity))
    return regions, np.bincount(regions.ravel(), minlength=count + 1)[1:]


def without_small(classes: Classes, labels: Sequence[int], min_share: float) -> Classes:
    """The mask with the small regions of some classes set to background; regions are connected by edges or corners.

    Args:
        classes: Class indices, (W, H).
        labels: The classes, each looked at by itself.
        min_share: Regions with a smaller share of the picture's pixels go.
    """
    small = np.zeros(classes.shape, bool)
    for label in labels:
        regions, sizes = regions_of(classes == label)
        small |= np.concatenate([[False], sizes < min_share * classes.size])[regions]
    return np.where(small, np.zeros((), classes.dtype), classes)


def only_largest(
    classes: Classes, labels: Sequence[int] | None, *, independent: bool, connectivity: int, most: int
) -> Classes:
    """The mask with all but the largest regions of some classes set to background, as MONAI has it.

    Args:
        classes: Class indices, (W, H).
        labels: The classes; None for all but the background.
        independent: Each class by itself; else all of them are one thing, whose regions may be of several classes.
        connectivity: See `regions_of`.
        most: Regions that stay.
    References: `monai.transforms.KeepLargestConnectedComponent`; of regions of one size the same one stays.
    """
    chosen = [int(label) for label in np.unique(classes) if label] if labels is None else list(labels)
    kept = classes.copy()
    for group in [[label] for label in chosen] if independent else [chosen]:
        mask = np.isin(kept, group)
        kept[mask & ~_largest(mask, connectivity, most)] = 0
    return kept


def _largest(mask: npt.NDArray[np.bool_], connectivity: int, most: int) -> npt.NDArray[np.bool_]:
    regions, sizes = regions_of(mask, connectivity)
    if len(sizes) <= most:
        return mask
    # The background is counted as nothing, and stands among the regions: which one of several of a size comes last in
    # the order depends on what is sorted.
    counts = np.concatenate([[0], sizes])
    found = np.zeros(len(counts), bool)
    found[np.argsort(counts)[::-1][:most]] = True
    return found[regions]
