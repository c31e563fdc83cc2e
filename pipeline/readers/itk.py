"""MetaImage (MHA, MHD) and NRRD by SimpleITK, and the 16-bit colours of PNG and TIFF, which Pillow cuts to 8."""

from __future__ import annotations

import re
from math import prod

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813

from pipeline.errors import UnsupportedImage
from pipeline.geometry import SourceGrid, lps_to_ras
from pipeline.readers.lengths import Lengths
from pipeline.readers.metaimage import check_metaimage, metaimage_lengths
from pipeline.readers.nrrd import check_nrrd, nrrd_lengths
from pipeline.readers.picture import Picture, exact_dtype
from pipeline.readers.room import require_room

__all__ = ["itk_affine", "itk_grid", "read_itk", "read_itk_raster"]

# "16-bit signed integer", "vector of 8-bit unsigned integer"
BITS = re.compile(r"(\d+)-bit")

# ITK reports on stderr what it then raises.
sitk.ProcessObject.SetGlobalWarningDisplay(False)


def read_itk(path: str, source_format: str) -> Picture:
    """Decode a MetaImage or NRRD file. Where the header does not give the size of a pixel, it is unknown.

    Raises: UnsupportedImage: for more than three spatial axes, channels that are not a colour, lengths in several
        units, or more pixels than the memory holds.
    """
    _check(path, source_format)
    reader = _informed(path)
    bits = int(BITS.findall(sitk.GetPixelIDValueAsString(reader.GetPixelID()))[0])
    require_room(path, prod(reader.GetSize()) * reader.GetNumberOfComponents() * bits / 8)
    image = reader.Execute()
    channels = image.GetNumberOfComponentsPerPixel()
    lengths = _lengths(path, source_format)
    grid = _grid(path, image, lengths)
    if channels not in (1, 3, 4) or "complex" in image.GetPixelIDTypeAsString():
        raise UnsupportedImage(
            f"{path}: {channels} channels of {image.GetPixelIDTypeAsString()}; expected one grey value or a colour."
        )
    known = lengths.knows(image.GetSize())
    return Picture(
        path,
        grid.to_display(_pixels(image)),
        grid,
        source_format,
        spacing_mm=grid.spacing_mm if known else None,
        spacing_source=f"{source_format} header" if known else "unknown",
        photometric=image.GetPixelIDTypeAsString(),
        colour=channels > 1,
        warnings=(lengths.warning,) if lengths.warning else (),
    )


def itk_grid(path: str, source_format: str) -> SourceGrid:
    """The grid of a MetaImage or NRRD file, from its header."""
    _check(path, source_format)
    return _grid(path, _informed(path), _lengths(path, source_format))


def read_itk_raster(path: str, container: str) -> Picture:
    """Decode a PNG or TIFF of 16-bit colours."""
    image = sitk.ReadImage(path)
    array = _pixels(image)
    colour = image.GetNumberOfComponentsPerPixel() > 1
    if colour and array.shape[-1] == 2:
        array, colour = array[..., 0], False  # grey with alpha
    grid = SourceGrid.of_picture(array.shape[: array.ndim - colour])
    photometric = image.GetPixelIDTypeAsString()
    return Picture(path, grid.to_display(array), grid, container, photometric=photometric, colour=colour)


def itk_affine(
    spacing: tuple[float, ...], origin: tuple[float, ...], direction: tuple[float, ...]
) -> npt.NDArray[np.float64]:
    """4×4 RAS+ affine of ITK's spacing, origin (mm, LPS) and direction cosines; 2D gets a third axis of 1 mm."""
    n = len(spacing)
    affine = np.eye(4)
    affine[:n, :n] = np.array(direction).reshape(n, n) * np.array(spacing)
    affine[:n, 3] = origin
    return lps_to_ras(affine)


def _check(path: str, source_format: str) -> None:
    """Raise UnreadableImage where ITK would not say what is wrong."""
    if source_format == "MetaImage":
        check_metaimage(path)
    else:
        check_nrrd(path)


def _informed(path: str) -> sitk.ImageFileReader:
    """A reader that has read the header."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    reader.ReadImageInformation()
    return reader


def _lengths(path: str, source_format: str) -> Lengths:
    return metaimage_lengths(path) if source_format == "MetaImage" else nrrd_lengths(path)


def _grid(path: str, image: sitk.Image | sitk.ImageFileReader, lengths: Lengths) -> SourceGrid:
    size, direction = image.GetSize(), image.GetDirection()
    spacing, origin = (
        tuple(value * lengths.mm_per_unit for value in values) for values in (image.GetSpacing(), image.GetOrigin())
    )
    if len(size) == 4 and size[3] == 1:
        size, spacing, origin = size[:3], spacing[:3], origin[:3]
        direction = tuple(np.array(direction).reshape(4, 4)[:3, :3].ravel())
    if len(size) not in (2, 3):
        raise UnsupportedImage(
            f"{path}: {len(size)} axes ({'×'.join(map(str, size))}); expected a picture or a volume."
        )
    return SourceGrid.oriented(tuple(size), itk_affine(spacing, origin, direction))


def _pixels(image: sitk.Image) -> npt.NDArray[np.generic]:
    """(W, H[, D]) or (W, H[, D], channels); alpha is dropped."""
    array = sitk.GetArrayFromImage(image)
    channels = image.GetNumberOfComponentsPerPixel()
    spatial = array.ndim - (channels > 1)
    array = exact_dtype(array.transpose(*reversed(range(spatial)), *range(spatial, array.ndim)))
    array = array[:, :, :, 0] if spatial == 4 else array  # a series of one volume, which `_grid` lets pass
    return array[..., :3] if channels == 4 else array
