"""Local contrast as vendors' processing sets it: structures inside heart and bone become as clear as in the lung."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable

from pipeline.transforms.fields import box_blur

__all__ = ["RandLocalContrastd", "enhance_local_contrast"]


def enhance_local_contrast(image: torch.Tensor, radius: int, amount: float) -> torch.Tensor:
    """Flatten the slow part of a picture and keep the quick one.

    Args:
        image: Shape (C, W, H), values about 0 to 1.
        radius: Half-width of the neighbourhood in pixels.
        amount: 0 leaves the picture, 1 removes the neighbourhood's mean altogether; negative values blur it.
    Returns: A new picture of about the same mean.
    """
    slow = torch.stack([box_blur(channel, radius) for channel in image])
    return image - amount * (slow - image.mean(dim=(-2, -1), keepdim=True))


class RandLocalContrastd(Randomizable, MapTransform):
    """Enhance or flatten local contrast, as unsharp masking, multi-scale processing and CLAHE do.

    A network that has seen one vendor's processing takes any place darker than its surroundings for lung; on a film
    whose processing clears up the heart it then marks the heart.

    Args:
        keys: Pictures, values about 0 to 1, shape (C, W, H).
        prob: Probability of a change.
        radius: Range of the neighbourhood's half-width as a share of the picture's width.
        amount: Range of the share of the neighbourhood's mean that is removed.
        allow_missing_keys: As in MONAI.
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.3,
        radius: tuple[float, float] = (0.04, 0.2),
        amount: tuple[float, float] = (0.2, 0.9),
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.prob = prob
        self.radius = tuple(radius)
        self.amount = tuple(amount)
        self.drawn: tuple[float, float] | None = None

    def randomize(self, data: Any = None) -> None:
        """Draw radius and amount for the next picture."""
        self.drawn = None
        if self.R.rand() < self.prob:
            self.drawn = float(self.R.uniform(*self.radius)), float(self.R.uniform(*self.amount))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case with its pictures changed."""
        out = dict(data)
        self.randomize()
        if self.drawn is not None:
            radius, amount = self.drawn
            for key in self.key_iterator(out):
                out[key] = enhance_local_contrast(out[key], max(1, round(radius * out[key].shape[-2])), amount)
        return out
