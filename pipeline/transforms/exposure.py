"""Slow changes of exposure over a film: heel effect, grid cut-off, a body that lies askew, local tone mapping."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable

from pipeline.transforms.fields import upsampled

__all__ = ["RandExposureFieldd", "apply_exposure"]


def apply_exposure(image: torch.Tensor, gain: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Multiply and shift a picture by two smooth fields.

    Args:
        image: Shape (C, W, H), values about 0 to 1.
        gain: Coarse control values of the logarithm of the gain, shape (n, n).
        offset: Coarse control values of the shift, shape (n, n).
    Returns: A new picture. Black stays black: the shift is scaled by the picture, so that borders keep their value.
    """
    shape = (image.shape[-2], image.shape[-1])
    return image * torch.exp(upsampled(gain, shape)) + upsampled(offset, shape) * image.clamp(0, 1).sqrt()


class RandExposureFieldd(Randomizable, MapTransform):
    """Vary a picture's exposure slowly from place to place.

    Args:
        keys: Pictures, values about 0 to 1, shape (C, W, H).
        prob: Probability of a change.
        gain: Standard deviation of the logarithm of the gain at the control points.
        offset: Standard deviation of the shift at the control points.
        most_points: Largest number of control points an axis; the smallest is 2.
        allow_missing_keys: As in MONAI.
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.5,
        gain: float = 0.25,
        offset: float = 0.08,
        most_points: int = 5,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.prob = prob
        self.gain = gain
        self.offset = offset
        self.most_points = most_points
        self.fields: tuple[torch.Tensor, torch.Tensor] | None = None

    def randomize(self, data: Any = None) -> None:
        """Draw the two fields of the next picture."""
        self.fields = None
        if self.R.rand() >= self.prob:
            return
        n = self.R.randint(2, self.most_points + 1)
        gain, offset = (
            torch.as_tensor(self.R.normal(0.0, spread, (n, n)), dtype=torch.float32)
            for spread in (self.gain, self.offset)
        )
        self.fields = gain, offset

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case with its pictures changed."""
        out = dict(data)
        self.randomize()
        if self.fields is not None:
            for key in self.key_iterator(out):
                out[key] = apply_exposure(out[key], *self.fields)
        return out
