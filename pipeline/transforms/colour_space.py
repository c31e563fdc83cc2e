"""Colour pictures in another space of colours."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from pipeline.errors import InvalidOption
from pipeline.transforms.channels import as_channels

__all__ = ["ToColourSpaced", "rgb_to_hsv"]

SPACES = ("rgb", "hsv", "grey")


def rgb_to_hsv(image: torch.Tensor) -> torch.Tensor:
    """Hue, saturation and value, each 0 to 1.

    Args:
        image: Red, green and blue between 0 and 1, shape (3, …).
    Returns: The same shape.
    References: Smith, Color gamut transform pairs, SIGGRAPH 1978; as `skimage.color.rgb2hsv` and `colorsys` have it.
    """
    from skimage.color import rgb2hsv

    return torch.as_tensor(rgb2hsv(image.cpu().numpy(), channel_axis=0), dtype=image.dtype, device=image.device)


class ToColourSpaced(MapTransform):
    """Bring pictures of red, green and blue between 0 and 1 into a space of colours.

    Args:
        keys: Channel-first pictures, shape (3, W, H).
        space: "rgb" (nothing changes), "hsv" or "grey", which has one channel.
        allow_missing_keys: As in MONAI.
    Raises: InvalidOption: for another space.
    """

    def __init__(self, keys: KeysCollection, space: str = "rgb", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        if space not in SPACES:
            raise InvalidOption(f"'{space}' is no space of colours here; expected {', '.join(SPACES)}.")
        self.space = space

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case with its pictures converted."""
        out = dict(data)
        for key in self.key_iterator(out):
            image = out[key]
            if self.space == "rgb":
                continue
            plain = image.as_tensor() if isinstance(image, MetaTensor) else image
            turned = as_channels(plain, 1) if self.space == "grey" else rgb_to_hsv(plain)
            out[key] = MetaTensor(turned).copy_meta_from(image) if isinstance(image, MetaTensor) else turned
        return out
