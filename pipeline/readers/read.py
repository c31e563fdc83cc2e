"""Read a picture from any container, in display orientation."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np

from pipeline.archives import on_disk
from pipeline.errors import PlanarError, UnsupportedImage
from pipeline.fragments import FRAGMENT, axes_of, split_fragment, split_instance
from pipeline.geometry import SourceGrid
from pipeline.readers.cache import VolumeCache, last_picture
from pipeline.readers.container import container_of
from pipeline.readers.data_files import are_several
from pipeline.readers.faults import library_errors
from pipeline.readers.picture import Picture

__all__ = ["read_grid", "read_picture", "readable_slices", "slices_in"]

_volumes = VolumeCache()


def read_picture(path: str | os.PathLike[str], *, voi: bool = False, labels: bool = False) -> Picture:
    """Decode one picture or volume.

    Args:
        path: A file, a folder or zip archive that holds one DICOM series, or a file in a zip archive. It may end in
            `#slice=K`, the K-th slice from 0 in display order, which is then read as a picture; with `labels` in
            `#instance=UID[:FRAME]`, what a DICOM segmentation says of one image. With `#axes=AXES` (before `#slice=K`)
            it is shown by these axes, whatever the file says.
        voi: Apply the DICOM VOI LUT or window: float32 grey values from 0 to 255.
        labels: The file is a mask: palette indices stay indices, 1-bit pixels are 0/1, and DICOM values are as stored.
    Returns: The picture in display orientation, with the way back to its file.

    Raises:
        MissingFile: if nothing is there.
        UnreadableImage: if it is empty, cut short, damaged, or not what its name says.
        UnsupportedImage: if it is no picture (a DICOM segmentation, a time series) or has no slice K.
    """
    file, number = split_fragment(path)
    instance = split_instance(path)[1] if labels else None
    if instance is not None:
        return _mask_of_instance(file, instance, os.fspath(path))
    axes = axes_of(path)
    if axes:
        return _by_axes(file, axes, number, voi, labels, os.fspath(path))
    if number is None:
        return _whole(file, voi, labels)
    if container_of(file) == "series":
        return _slice_of_series(file, number, voi, labels)
    volume = _volumes.get(file, (voi, labels), lambda: _decode(file, voi, labels))
    _check_slice(file, number, volume.depth)
    return volume.cut(number, os.fspath(path)) if volume.depth > 1 else volume


def read_grid(path: str | os.PathLike[str]) -> SourceGrid:
    """The grid of a picture or volume, from its header where the container allows it.

    Raises: MissingFile, UnreadableImage, UnsupportedImage: as `read_picture`.
    """
    file, number = split_fragment(path)
    grid = _guarded_grid(file)
    if axes := axes_of(path):
        grid = grid.shown_by(axes)
    if number is None:
        return grid
    _check_slice(file, number, grid.depth)
    return grid.cut(number) if grid.depth > 1 else grid


def slices_in(path: str | os.PathLike[str]) -> list[str]:
    """The names under which the slices of a path can be read: the path itself for a picture.

    Raises: MissingFile, UnreadableImage, UnsupportedImage: as `read_picture`.
    """
    file, number = split_fragment(path)
    depth = 1 if number is not None else _guarded_grid(file).depth
    return [os.fspath(path)] if depth == 1 else [f"{file}{FRAGMENT}{k}" for k in range(depth)]


def readable_slices(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The slices of several pictures, as `slices_in`; what cannot be read, or is no picture, is logged and left out.

    Args:
        paths: From `find_pictures`.
    """
    found = []
    for path in paths:
        try:
            found += slices_in(path)
        except (PlanarError, OSError) as error:
            logging.getLogger(__name__).warning("Left out: %s", error)
    return found


def _by_axes(file: str, axes: str, number: int | None, voi: bool, labels: bool, path: str) -> Picture:
    if number is None:
        return _whole(file, voi, labels).shown_by(axes, path)
    volume = _volumes.get(file, (voi, labels, axes), lambda: _decode(file, voi, labels).shown_by(axes, file))
    _check_slice(file, number, volume.depth)
    return volume.cut(number, path)


def _whole(file: str, voi: bool, labels: bool) -> Picture:
    """A picture or volume, which within `decoded_once` may have been decoded just before."""
    last = last_picture()
    if last is None or container_of(file) == "series":  # a folder's time of change says nothing of its files
        return _decode(file, voi, labels)
    kept = _volumes.find(file, (voi, labels)) or last.get(file, (voi, labels), lambda: _decode(file, voi, labels))
    return replace(kept, array=kept.array.copy(order="K"))  # transforms may write into what they are given


def _decode(file: str, voi: bool, labels: bool) -> Picture:
    picture = _decoded(file, container_of(file), voi, labels)
    if picture.array.dtype.kind == "f":
        wrong = picture.array.size - int(np.count_nonzero(np.isfinite(picture.array)))
        if wrong:
            told = f"{wrong} of {picture.array.size} values are not finite (NaN or infinity): a network gets the least."
            return replace(picture, warnings=(*picture.warnings, told))
    return picture


def _decoded(file: str, container: str, voi: bool, labels: bool) -> Picture:
    if container == "DICOM":
        with library_errors(file, container):
            from pipeline.readers.dicom import read_dicom

            return read_dicom(file, voi=voi, labels=labels)
    if container == "series":
        with library_errors(file, container):
            from pipeline.readers.series import read_series, series_in

            return read_series(series_in(file), voi=voi, labels=labels)
    with _on_disk(file, container) as path, library_errors(path, container):
        return replace(_from_disk(path, container, labels), path=file)


def _from_disk(path: str, container: str, labels: bool) -> Picture:
    if container in ("PNG", "JPEG", "BMP", "GIF", "TIFF"):
        from pipeline.readers.raster import read_raster

        return read_raster(path, container, labels=labels)
    if container == "NIfTI":
        from pipeline.readers.nifti import read_nifti

        return read_nifti(path)
    from pipeline.readers.itk import read_itk

    return read_itk(path, container)


def _guarded_grid(file: str) -> SourceGrid:
    container = container_of(file)
    if container == "DICOM":
        with library_errors(file, container):
            from pipeline.readers.dicom import dicom_grid

            return dicom_grid(file)
    if container == "series":
        with library_errors(file, container):
            from pipeline.readers.series import series_in

            return series_in(file).grid
    with _on_disk(file, container) as path, library_errors(path, container):
        return _grid_from_disk(path, container)


def _grid_from_disk(path: str, container: str) -> SourceGrid:
    if container in ("PNG", "JPEG", "BMP", "GIF", "TIFF"):
        from pipeline.readers.raster import raster_grid

        return raster_grid(path, container)
    if container == "NIfTI":
        from pipeline.readers.nifti import nifti_grid

        return nifti_grid(path)
    from pipeline.readers.itk import itk_grid

    return itk_grid(path, container)


@contextmanager
def _on_disk(file: str, container: str) -> Iterator[str]:
    """A path that libraries can open; errors name the file that the user named."""
    with on_disk(file, partial(_data_file, file, container)) as path:
        try:
            yield path
        except PlanarError as error:
            if path == file:
                raise
            raise type(error)(str(error).replace(path, file)) from error


def _data_file(file: str, container: str, copy: str) -> str | None:
    """What the copy of a header in an archive names as the file of its data."""
    name: str | None = None
    if container == "MetaImage":
        from pipeline.readers.metaimage import metaimage_data_file

        name = metaimage_data_file(copy)
    elif container == "NRRD":
        from pipeline.readers.nrrd import nrrd_data_file

        name = nrrd_data_file(copy)
    if name is not None and are_several(name):
        raise UnsupportedImage(f"{file}: its data lie in several files. Unpack the archive first.")
    return name


def _slice_of_series(folder: str, number: int, voi: bool, labels: bool) -> Picture:
    """One slice of a series, by decoding its one file."""
    from pipeline.readers.series import series_in

    with library_errors(folder, "series"):
        series = series_in(folder)
    _check_slice(folder, number, series.grid.depth)
    picture = _decode(series.files[number], voi, labels)
    return replace(picture, path=f"{folder}{FRAGMENT}{number}", grid=series.grid.cut(number))


def _mask_of_instance(file: str, instance: tuple[str, int], path: str) -> Picture:
    from pipeline.readers.segmentation import mask_of_instance

    if container_of(file) != "DICOM":
        raise UnsupportedImage(f"{path}: only a DICOM segmentation knows the images that it belongs to.")
    with library_errors(file, "DICOM"):
        return replace(mask_of_instance(file, *instance), path=path)


def _check_slice(file: str, number: int, depth: int) -> None:
    if number >= depth:
        raise UnsupportedImage(f"{file}: there is no slice {number}: it has {depth}, numbered from 0.")
