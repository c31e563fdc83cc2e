"""A slice with its neighbours in the volume as channels (2.5D)."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.archives import time_of_change
from pipeline.errors import GeometryMismatch
from pipeline.fragments import FRAGMENT, split_fragment
from pipeline.readers.picture import Picture
from pipeline.readers.read import read_grid, read_picture
from pipeline.readers.series import volume_of

__all__ = ["neighbours_of", "read_with_neighbours"]

# ITU-R BT.601 luma, as in Pillow's "L".
LUMA = (0.299, 0.587, 0.114)


def neighbours_of(path: str | os.PathLike[str], reach: int) -> list[str]:
    """The slice of a path between its neighbours, in the volume's order; the ends are repeated.

    Args:
        path: `volume#slice=K`, or a file of a DICOM series, whose volume `volume_of` knows. A picture that is no slice
            has no neighbours, and stands in their place.
        reach: Slices to either side.
    Returns: 2 × reach + 1 paths, the given slice in their middle.
    """
    file, number = split_fragment(path)
    if number is not None:
        depth = _depth(file, time_of_change(file))
        if number >= depth:
            return [os.fspath(path)] * (2 * reach + 1)  # there is no such slice, which is the reader's to say
        return [f"{file}{FRAGMENT}{k}" for k in _within(depth, number, reach)]
    volume = volume_of(file)
    if volume is None:
        return [file] * (2 * reach + 1)
    names = [Path(one) for one in volume.files]
    number = names.index(Path(file)) if Path(file) in names else [one.name for one in names].index(Path(file).name)
    beside = [volume.files[k] for k in _within(len(volume.files), number, reach)]
    return [*beside[:reach], file, *beside[reach + 1 :]]  # by the name that was given, or it might be decoded twice


def read_with_neighbours(
    path: str | os.PathLike[str], reach: int, *, voi: bool = False
) -> tuple[npt.NDArray[Any], Picture]:
    """A slice and its neighbours.

    Args:
        path: As in `neighbours_of`.
        reach: Slices to either side.
        voi: As in `read_picture`.
    Returns: Grey values, (W, H, 2 × reach + 1), and the slice itself, whose metadata they have.

    Raises:
        MissingFile, UnreadableImage, UnsupportedImage: as `read_picture`.
        GeometryMismatch: if the slices differ in size.
    """
    names = neighbours_of(path, reach)
    read = {name: read_picture(name, voi=voi) for name in dict.fromkeys(names)}
    middle = read[names[reach]]
    for picture in read.values():
        if picture.grid.display_shape != middle.grid.display_shape:
            sizes = ("×".join(map(str, one.grid.display_shape)) for one in (picture, middle))
            raise GeometryMismatch("{}: {} does not match {} of {}.".format(picture.path, *sizes, middle.path))
    return np.stack([_grey(read[name]) for name in names], axis=-1), middle


def _within(depth: int, number: int, reach: int) -> list[int]:
    return [min(max(k, 0), depth - 1) for k in range(number - reach, number + reach + 1)]


@lru_cache(maxsize=256)
def _depth(file: str, changed: tuple[int, int]) -> int:
    """Slices of a volume; its time of change tells a former file of that name."""
    return read_grid(file).depth


def _grey(picture: Picture) -> npt.NDArray[Any]:
    grey: npt.NDArray[Any] = picture.array
    return grey[..., :3] @ np.asarray(LUMA, np.float32) if picture.colour else grey
