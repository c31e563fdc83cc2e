"""From the pixels of a mask file to class indices, by the coding that the case carries."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from pipeline.errors import UnknownLabel
from pipeline.labels import LabelCoding
from pipeline.transforms.channels import file_of

__all__ = ["DecodeMaskd"]


class DecodeMaskd(MapTransform):
    """Decode masks into class indices, shape (1, W, H).

    The coding travels with each case (``label_coding`` in the datalist), so that sets whose masks are stored in
    different ways can be mixed. A case without it holds class indices already; that is what MONAI Label and the
    Decathlon layout give.

    Args:
        keys: Channel-first masks as loaded, shape (1, W, H), (3, W, H) for colours, or (n, W, H) for n files.
        coding_key: Item of the case that holds the coding.
        default: Coding of a case that says nothing.
        n_classes: Number of classes with the background; a mask with others is refused. None takes any.
        allow_missing_keys: As in MONAI.
    Raises: UnknownLabel: if the mask does not fit the coding or the classes, with the file's name.
    """

    def __init__(
        self,
        keys: KeysCollection,
        coding_key: str = "label_coding",
        default: str = "index",
        n_classes: int | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.coding_key = coding_key
        self.default = default
        self.n_classes = n_classes

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case with its masks decoded."""
        out = dict(data)
        coding = LabelCoding.parse(str(out.get(self.coding_key, self.default)))
        for key in self.key_iterator(out):
            mask = out[key]
            stored = mask.cpu().numpy() if isinstance(mask, torch.Tensor) else np.asarray(mask)
            stored = stored[0] if stored.shape[0] == 1 else np.moveaxis(stored, 0, -1)
            try:
                classes = torch.from_numpy(coding.decode(stored, n_classes=self.n_classes)).to(torch.float32)[None]
            except UnknownLabel as error:
                raise UnknownLabel(f"{file_of(mask, key)}: {error}") from error
            out[key] = MetaTensor(classes).copy_meta_from(mask) if isinstance(mask, MetaTensor) else classes
        return out
