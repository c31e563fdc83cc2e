"""Looking at one case: decoding it, measuring it, and nothing raised for a bad file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datalist import Finding
from pipeline.errors import GeometryMismatch, PlanarError
from pipeline.fingerprint import CaseMeasures, measure_case, thumbnail
from pipeline.readers import Picture, read_mask, read_picture

__all__ = ["Look", "Seen", "look_at", "looks_of", "read_case"]


@dataclass(frozen=True, slots=True)
class Look:
    """A case to look at.

    Attributes:
        image: Its file.
        masks: Its mask files; none if the case is only compared with others.
        coding: How they are coded.
        n_classes: Number of classes with the background.
    """

    image: str
    masks: tuple[str, ...]
    coding: str
    n_classes: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a case: its measures if it has masks, its thumbnail, or why it could not be read."""

    measures: CaseMeasures | None = None
    small: NDArray[np.uint8] | None = None
    failed: Finding | None = None


def look_at(look: Look) -> Seen:
    """Measure a case; whatever is wrong with its files is in the result."""
    try:
        picture, mask = read_case(look)
        measures = None
        if mask is not None:
            measures = measure_case(
                picture.array, mask, look.n_classes, picture.spacing_mm, container=picture.source_format
            )
    except Exception as error:  # a decoder may raise anything on a damaged file, and the others go on
        line = " ".join(str(error).split()) or type(error).__name__
        code = "unusable" if isinstance(error, PlanarError) else "unreadable"
        return Seen(failed=Finding(look.image, code, line.removeprefix(f"{look.image}: ")))
    return Seen(measures, thumbnail(picture.array))


def read_case(look: Look) -> tuple[Picture, NDArray[np.uint8] | None]:
    """The picture of a case and the classes of its masks, (W, H); None without masks.

    Raises:
        MissingFile, UnreadableImage, UnsupportedImage: as `read_picture`.
        GeometryMismatch: if a mask has another size.
        UnknownLabel: if a mask does not fit its coding.
    """
    picture = read_picture(look.image)
    if not look.masks:
        return picture, None
    classes = read_mask(look.masks, look.coding, look.n_classes)
    if classes.shape[:2] != picture.array.shape[:2]:
        sizes = ["×".join(map(str, part.shape[:2])) for part in (classes, picture.array)]
        raise GeometryMismatch(
            f"{look.masks[0]}: mask {sizes[0]} does not match image {sizes[1]}. Index the set again."
        )
    return picture, classes


def looks_of(items: Sequence[dict[str, Any]], n_classes: int, *, masks: bool) -> list[Look]:
    """What to look at for the items of a datalist, whose paths are absolute."""
    return [
        Look(
            image=str(item["image"]),
            masks=_files(item["label"]) if masks else (),
            coding=str(item.get("label_coding", "index")),
            n_classes=n_classes,
        )
        for item in items
    ]


def _files(label: str | list[str]) -> tuple[str, ...]:
    return tuple(label) if isinstance(label, list) else (label,)
