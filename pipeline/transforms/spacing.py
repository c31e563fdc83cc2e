"""Pictures at one spacing, whatever the scanner's was."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform, Resize
from monai.transforms.traits import ThreadUnsafe
from monai.utils import ensure_tuple_rep

from pipeline.errors import UnsupportedImage
from pipeline.sizes import size_at_spacing
from pipeline.transforms.channels import file_of

__all__ = ["ToSpacingd", "size_at_spacing"]


class ToSpacingd(MapTransform, InvertibleTransform, ThreadUnsafe):
    """Resize pictures so that a pixel is as large as wanted, by the spacing that their files give; invertible.

    MONAI's `Spacingd` takes the upper left of the affine, which for a coronal or sagittal picture has no second axis.

    Args:
        keys: Channel-first pictures and masks with our reader's metadata.
        spacing_mm: Wanted pixel size, mm.
        mode: Interpolation, one for each key or one for all: "bilinear" (anti-aliased) or "nearest".
        allow_missing_keys: As in MONAI.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spacing_mm: float,
        mode: str | Sequence[str] = "bilinear",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.spacing_mm = spacing_mm
        self.resizers = {
            key: Resize(spatial_size=(-1, -1), mode=kind, anti_aliasing=kind != "nearest")
            for key, kind in zip(self.keys, ensure_tuple_rep(mode, len(self.keys)), strict=True)
        }

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case at the wanted spacing."""
        out = dict(data)
        reference: torch.Tensor | None = None
        for key in self.key_iterator(out):
            picture = out[key]
            # A mask takes the picture's spacing: a PNG mask of a DICOM slice has none of its own.
            reference = picture if reference is None else reference
            spacing = reference.meta.get("spacing_mm", ()) if isinstance(reference, MetaTensor) else ()
            spacing = [float(value) for value in spacing] or [math.nan, math.nan]
            try:
                size = size_at_spacing(picture.shape[1:], spacing, self.spacing_mm)
            except UnsupportedImage as error:
                raise UnsupportedImage(f"{file_of(picture, key)}: {error}") from None
            out[key] = self._resized(key, picture, size)
        return out

    def _resized(self, key: Hashable, picture: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        # One object a key, whose size is set each time: MONAI's inverse wants the object that made the change.
        self.resizers[key].spatial_size = size
        return self.resizers[key](picture)

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Back to the source's pixels."""
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = self.resizers[key].inverse(out[key])
        return out
