"""Images as files that viewers show as our reader reads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.atomic import written_aside
from pipeline.readers import read_grid

if TYPE_CHECKING:
    from pipeline.tasks.infer.sources import Source

__all__ = ["needs_view", "suffixes", "write_view"]

AS_THEY_ARE = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".nii", ".nii.gz", ".mha", ".nrrd")
RASTER = AS_THEY_ARE[:6]
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def suffixes(path: str | os.PathLike[str]) -> str:
    """The suffix, ".nii.gz" in one piece."""
    name = Path(path).name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def needs_view(source: Source) -> bool:
    """Whether viewers need a copy: of series and DICOM files, and of photographs that EXIF turns."""
    if source.series is not None or suffixes(source.path) not in AS_THEY_ARE:
        return True
    return suffixes(source.path) in RASTER and read_grid(source.path).exif_orientation != 1


def write_view(source: Source, path: Path) -> None:
    """Write an image as NIfTI, with the values that the network sees and the geometry that its masks will have.

    Raises: UnreadableImage, UnsupportedImage: as reading does.
    """
    import nibabel as nib

    picture = source.picture()
    if picture.source_format in ("PNG", "JPEG", "BMP", "GIF", "TIFF"):
        array, affine = picture.array, picture.affine  # turned: viewers would not
    else:
        array, affine = picture.grid.to_source(picture.array), picture.grid.stored_affine
    image = nib.Nifti1Image(_voxels(array, picture.colour), affine)
    image.header.set_xyzt_units("mm")
    with written_aside(path) as aside:
        nib.save(image, aside)


def _voxels(array: NDArray[Any], colour: bool) -> NDArray[Any]:
    """Three axes, colours as one value."""
    if colour:
        array = np.ascontiguousarray(array.astype(np.uint8)).view(RGB)[..., 0]
    return array if array.ndim == 3 else array[:, :, np.newaxis]
