"""The number of channels that a network expects, whatever the file holds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from pipeline.errors import UnsupportedImage

__all__ = ["AsChannelsd", "as_channels", "file_of"]

# ITU-R BT.601 luma, as in Pillow's "L": an X-ray stored as RGB keeps its grey values.
LUMA = (0.299, 0.587, 0.114)


def as_channels(image: torch.Tensor, channels: int) -> torch.Tensor:
    """Turn colour to grey or grey to colour.

    Args:
        image: Shape (1 or 3, …).
        channels: Wanted number of channels, 1 or 3.
    Returns: Shape (channels, …); the input itself if it has that many already.
    Raises: UnsupportedImage: if the picture has neither one nor three channels.
    """
    if image.shape[0] == channels:
        return image
    if channels == 1 and image.shape[0] == 3:
        image = image if image.is_floating_point() else image.float()  # the weights are nothing as integers
        weights = torch.tensor(LUMA, dtype=image.dtype, device=image.device)
        return (image * weights.reshape(3, *[1] * (image.ndim - 1))).sum(dim=0, keepdim=True)
    if channels == 3 and image.shape[0] == 1:
        return image.repeat(3, *[1] * (image.ndim - 1))
    raise UnsupportedImage(
        f"The picture has {image.shape[0]} channels; expected 1 (grey) or 3 (colour). Convert it to one of those."
    )


class AsChannelsd(MapTransform):
    """Bring pictures to the number of channels that the network expects (grey ↔ colour).

    Args:
        keys: Channel-first pictures.
        channels: 1 for grey, 3 for colour.
        allow_missing_keys: As in MONAI.
    """

    def __init__(self, keys: KeysCollection, channels: int = 1, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.channels = channels

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case with its pictures converted."""
        out = dict(data)
        for key in self.key_iterator(out):
            try:
                out[key] = as_channels(out[key], self.channels)
            except UnsupportedImage as error:
                raise UnsupportedImage(f"{file_of(out[key], key)}: {error}") from error
        return out


def file_of(picture: Any, key: Hashable) -> str:
    """Where a picture came from, for a message: its file, or its key in the case."""
    meta = picture.meta if isinstance(picture, MetaTensor) else {}
    return str(meta.get("filename_or_obj", key))
