"""Leaving out of a mask what is too small to be what it is said to be."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from pipeline.regions import without_small

__all__ = ["RemoveSmallRegionsd"]


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
            classes = without_small(mask.cpu().numpy()[0], self.applied_labels, self.min_share)
            kept = torch.as_tensor(classes)[None].to(mask.device)
            out[key] = MetaTensor(kept).copy_meta_from(mask) if isinstance(mask, MetaTensor) else kept
        return out
