"""Reference masks, as one file or several, to class indices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import GeometryMismatch, UnsupportedImage
from pipeline.labels import GREY_TOLERANCE, LabelCoding, largest_difference
from pipeline.readers.picture import Picture
from pipeline.readers.read import read_picture

__all__ = ["read_mask", "stacked"]


def read_mask(
    files: str | os.PathLike[str] | Sequence[str], coding: str = "index", n_classes: int | None = None
) -> NDArray[np.uint8]:
    """The class indices of a case's mask, (W, H[, D]), whatever it is stored as.

    Args:
        files: A datalist item's `label`: a file, or one for each class.
        coding: Its `label_coding`; see `LabelCoding`.
        n_classes: With the background; None: whatever the values say.

    Raises:
        MissingFile, UnreadableImage, UnsupportedImage: as `read_picture`.
        GeometryMismatch: if several files differ in size.
        UnknownLabel: if the values do not fit the coding.
    """
    listed = [files] if isinstance(files, (str, os.PathLike)) else files
    array = stacked([read_picture(file, labels=True) for file in listed])
    return LabelCoding.parse(coding).decode(array, n_classes=n_classes)


def stacked(pictures: Sequence[Picture]) -> NDArray[Any]:
    """One picture as it is; several as the grey channels of one, last axis.

    Raises:
        GeometryMismatch: if they differ in size.
        UnsupportedImage: if one of several is coloured.
    """
    if len(pictures) == 1:
        # Contiguous before MONAI widens it to float32: a transposed copy of fewer bytes.
        return np.ascontiguousarray(pictures[0].array)
    return np.stack([_grey(picture, pictures[0]) for picture in pictures], axis=-1)


def _grey(picture: Picture, first: Picture) -> NDArray[Any]:
    if picture.grid.display_shape != first.grid.display_shape:
        sizes = ("×".join(map(str, p.grid.display_shape)) for p in (picture, first))
        raise GeometryMismatch("{}: {} does not match {} of {}.".format(picture.path, *sizes, first.path))
    if not picture.colour:
        return picture.array
    grey: NDArray[Any] = picture.array[..., 1]
    if any(largest_difference(grey, picture.array[..., k]) > GREY_TOLERANCE for k in (0, 2)):
        raise UnsupportedImage(f"{picture.path}: a coloured mask among several; expected grey ones.")
    return grey
