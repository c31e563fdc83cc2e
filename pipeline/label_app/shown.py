"""What there is to see of an image: its labels, what a model stored in the archive, what a model says now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MissingFile
from pipeline.label_app.images import LabelledImages
from pipeline.label_app.incoming import read_label
from pipeline.label_app.label_files import FINAL, SavedLabel
from pipeline.overlays import colour_of, draw_overlay, with_caption

if TYPE_CHECKING:
    from pipeline.label_app.segmenting import BundleSegmentation
    from pipeline.readers import Picture

__all__ = ["STORED", "Shown", "choices", "drawn", "to_show"]

# A segmentation that a model made and somebody stored in the archive.
STORED = "stored"
NARROWEST = 256


@dataclass(frozen=True, eq=False)
class Shown:
    """A mask to be drawn over its image.

    Attributes:
        mask: Class indices in display orientation, (W, H[, D]).
        names: Value → name.
        origin: Where it comes from, in words.
        quality: What the gate said of it; empty if nobody asked it.
    """

    mask: NDArray[np.uint8]
    names: Mapping[int, str]
    origin: str
    quality: Mapping[str, Any] = field(default_factory=dict)


def choices(images: LabelledImages, image: str, models: Mapping[str, BundleSegmentation]) -> list[str]:
    """What can be shown of an image, the best first: final label, other labels, what is stored, models.

    Raises: MissingFile: if there is no such image.
    """
    images.source(image)
    tags = sorted(images.labels.tags(image), key=lambda tag: (tag != FINAL, tag))
    stored = [STORED] if images.stored_result(image) is not None else []
    return [*tags, *stored, *(name for name, model in models.items() if model.is_valid())]


def to_show(images: LabelledImages, image: str, what: str, models: Mapping[str, BundleSegmentation]) -> Shown:
    """One of the choices.

    Raises:
        MissingFile: if there is no such image or choice.
        PlanarError: as reading and segmenting do.
    """
    source = images.source(image)
    if what in models:
        made = models[what].segment(source)
        return Shown(made.result.mask, models[what].classes, f"computed now by {what}", made.quality)
    if what == STORED and (found := images.stored_result(image)) is not None:
        mask, result = found
        return Shown(mask, _named(result), f"made by a model, stored as DICOM SEG {result.archived}")
    label = images.labels.of(image, what)
    if label is None:
        raise MissingFile(f"There is no {what[:40]!r} of {image[:80]}.")
    mask = read_label(images.labels.path(label), source.picture(), image)
    where = f", in the archive as DICOM SEG {label.archived}" if label.archived else ""
    quality = (label.info.get("params") or {}).get("quality") or {}
    return Shown(mask, _named(label), f"label '{what}', saved {label.saved[:16].replace('T', ' ')} UTC{where}", quality)


def drawn(picture: Picture, shown: Shown | None, number: int | None) -> tuple[NDArray[np.uint8], int]:
    """An image, or a slice of it, with the mask's outlines and a caption.

    Args:
        picture: The image.
        shown: The mask; None for the image alone.
        number: Of the slice, from 0; None for the one with most of the mask.
    Returns: RGB picture, (W, H, 3), and the slice's number.
    """
    mask = shown.mask if shown is not None else np.zeros(picture.grid.display_shape, np.uint8)
    if picture.depth > 1:
        if number is None:
            number = int((mask > 0).sum(axis=(0, 1)).argmax())
        number = min(max(number, 0), picture.depth - 1)
        array, mask = picture.array[:, :, number], mask[:, :, number]
    else:
        array, number = picture.array, 0
    out = draw_overlay(array, mask)
    if shown is not None and out.shape[0] >= NARROWEST:
        present = [value for value in np.unique(mask).tolist() if value]
        classes = [(shown.names.get(value, f"value {value}"), colour_of(value)) for value in present]
        out = with_caption(out, classes, shown.origin)
    return out, number


def _named(label: SavedLabel) -> dict[int, str]:
    return {int(value): name for value, name in label.names.items()}
