"""Borders that end a picture before its frame does: collimator blades, letterboxes, cropped figures."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable

__all__ = ["RandCollimationd", "collimate"]


def collimate(picture: torch.Tensor, margins: Sequence[int], value: float) -> torch.Tensor:
    """Overwrite the four margins.

    Args:
        picture: Shape (C, W, H).
        margins: Pixels to cover at the left, right, top and bottom.
        value: What the border holds.
    Returns: A new picture.
    """
    left, right, top, bottom = margins
    width, height = picture.shape[-2:]
    out = torch.full_like(picture, value)
    inside = (..., slice(left, width - right), slice(top, height - bottom))
    out[inside] = picture[inside]
    return out


class RandCollimationd(Randomizable, MapTransform):
    """Cover random margins of a picture in black or white and cut the mask there.

    What lies behind a blade cannot be seen, so it is not labelled either.

    Args:
        keys: Pictures, values about 0 to 1, shape (C, W, H).
        mask_key: Mask whose covered part becomes background, shape (1, W, H).
        prob: Probability of a border.
        most: Widest margin as a share of the picture's side.
        allow_missing_keys: As in MONAI.
    """

    def __init__(
        self,
        keys: KeysCollection,
        mask_key: str = "label",
        prob: float = 0.3,
        most: float = 0.15,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.mask_key = mask_key
        self.prob = prob
        self.most = most
        self.shares: list[float] = []
        self.value = 0.0

    def randomize(self, data: Any = None) -> None:
        """Draw the margins and the border's brightness."""
        self.shares = []
        if self.R.rand() >= self.prob:
            return
        self.shares = [float(self.R.uniform(0, self.most)) * (self.R.rand() < 0.6) for _ in range(4)]
        # Black far more often than white: white borders come from scanned films and journal figures.
        self.value = 0.0 if self.R.rand() < 0.7 else float(self.R.uniform(0.8, 1.1))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case with its pictures and its mask changed."""
        out = dict(data)
        self.randomize()
        if not self.shares:
            return out
        masks = [] if self.allow_missing_keys and self.mask_key not in out else [self.mask_key]
        for key in (*self.key_iterator(out), *masks):
            width, height = out[key].shape[-2:]
            margins = [int(s * side) for s, side in zip(self.shares, (width, width, height, height), strict=True)]
            out[key] = collimate(out[key], margins, 0.0 if key == self.mask_key else self.value)
        return out
