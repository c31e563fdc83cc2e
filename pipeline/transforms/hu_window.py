"""Hounsfield units through a display window, where a picture is in Hounsfield units."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from pipeline.errors import InvalidOption

__all__ = ["AIR_HU", "HUWindowd", "in_hounsfield_units"]

# Fat is at about -100 HU, lung below -500, air at -1000; a picture for the screen has no values below 0.
AIR_HU = -500.0


def in_hounsfield_units(image: torch.Tensor) -> bool:
    """Whether a CT picture holds Hounsfield units, and not grey values for the screen."""
    return bool(image.min() < AIR_HU)


class HUWindowd(MapTransform):
    """Bring CT slices in Hounsfield units to the window that pictures for the screen were made with.

    A network that learns from 8-bit pictures, which went through a window, then finds in a DICOM or NIfTI series what
    it knows. Pictures without values below `AIR_HU` stay as they are.

    Args:
        keys: Pictures.
        window_hu: Darkest and brightest value, HU; they become 0 and 255.
        allow_missing_keys: As in MONAI.
    Raises: InvalidOption: for a window that is none.
    """

    def __init__(self, keys: KeysCollection, window_hu: Sequence[float], allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.low, self.high = (float(value) for value in window_hu)
        if not self.low < self.high:
            raise InvalidOption(
                f"The window {self.low:g} to {self.high:g} HU is none; expected the darkest value first."
            )

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case with its pictures through the window."""
        out = dict(data)
        for key in self.key_iterator(out):
            image = out[key]
            if in_hounsfield_units(image):
                image = image if image.is_floating_point() else image.float()
                out[key] = (image.clamp(self.low, self.high) - self.low) * (255.0 / (self.high - self.low))
        return out
