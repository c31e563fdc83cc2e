"""Leaving out of a mask what is too small to be what it is said to be."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from scipy import ndimage

__all__ = ["RemoveSmallRegionsd", "regions_of"]


class RemoveSmallRegionsd(MapTransform):
    """Set the small regions of some classes to background; a region is connected by edges or corners.

    MONAI's `RemoveSmallObjectsd` takes the pixels of one class for one object wherever they lie, if a mask has several
    classes, and has no choice of classes. The size is a share of the picture, for the pictures of a set differ in
    their numbers of pixels.

    Args:
        keys: Class indices, shape (1, W, H).
        applied_labels: The classes.
        min_share: Regions with a smaller share of the picture's pixels are removed.
        allow_missing_keys: As in MONAI.
    """

    def __init__(
        self,
        keys: KeysCollection,
        applied_labels: int | Sequence[int],
        min_share: float,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.applied_labels = (applied_labels,) if isinstance(applied_labels, int) else tuple(applied_labels)
        self.min_share = min_share

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case without them."""
        out = dict(data)
        for key in self.key_iterator(out):
            mask = torch.as_tensor(out[key])
            classes = mask.cpu().numpy()[0]
            small = np.zeros(classes.shape, bool)
            for label in self.applied_labels:
                regions, sizes = regions_of(classes == label)
                small |= np.concatenate([[False], sizes < self.min_share * classes.size])[regions]
            kept = mask.masked_fill(torch.from_numpy(small)[None].to(mask.device), 0)
            out[key] = MetaTensor(kept).copy_meta_from(mask) if isinstance(mask, MetaTensor) else kept
        return out


def regions_of(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The connected regions of a mask, by edges or corners.

    Args:
        mask: (W, H).
    Returns: The number of each pixel's region, 0 outside, (W, H); and the pixels of each region from the first.
    """
    regions, count = ndimage.label(mask, structure=np.ones((3, 3), int))
    return regions, np.bincount(regions.ravel(), minlength=count + 1)[1:]
