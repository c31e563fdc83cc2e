"""NIfTI-1 and NIfTI-2 in one file (.nii, .nii.gz)."""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from pipeline.errors import UnsupportedImage
from pipeline.geometry import SourceGrid, spacing_of
from pipeline.readers.picture import Picture, exact_dtype

__all__ = ["header_from", "millimetres_per_unit", "nifti_grid", "read_nifti"]

# Length unit of the header (xyzt_units) → mm. Most files say mm or nothing, and nothing means mm.
MILLIMETRES = {"meter": 1000.0, "micron": 0.001}


def read_nifti(path: str) -> Picture:
    """Decode a NIfTI file.

    A single slice whose affine is exactly the identity, or that declares no orientation at all, is what software writes
    that was given none: it is taken as stored, [x, y]. With the identity its spacing is unknown too.

    Raises: UnsupportedImage: for time series, vectors and complex numbers.
    """
    image = nib.load(path)
    grid = _grid(path, image)
    array = np.asanyarray(image.dataobj)
    if array.dtype.kind == "c":
        raise UnsupportedImage(f"{path}: complex numbers. Export the magnitude.")
    colour = _is_colour(image)
    if array.dtype.names is not None:
        array = np.stack([array[name] for name in "RGB"], axis=-1)
    array = exact_dtype(array.reshape(grid.stored_shape + ((3,) if colour else ())))
    known = not _is_identity(grid.shape, image.affine)
    unit = image.header.get_xyzt_units()[0]
    return Picture(
        path,
        grid.to_display(array),
        grid,
        "NIfTI",
        spacing_mm=grid.spacing_mm if known else None,
        spacing_source="NIfTI header" if known else "unknown",
        photometric=str(image.get_data_dtype()),
        colour=colour,
        warnings=(f"Lengths in {unit} were turned into mm.",) if unit in MILLIMETRES else (),
        header=image.header.binaryblock,
    )


def nifti_grid(path: str) -> SourceGrid:
    """The grid of a NIfTI file, from its header."""
    return _grid(path, nib.load(path))


def millimetres_per_unit(header: Any) -> float:
    """What one unit of the header's lengths is in millimetres; 1 where it says nothing."""
    return MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)


def header_from(block: bytes) -> Any:
    """The header of a picture's `header` bytes: NIfTI-1 (348) or NIfTI-2 (540)."""
    return (nib.Nifti2Header if len(block) == nib.Nifti2Header.sizeof_hdr else nib.Nifti1Header)(block)


def _grid(path: str, image: Any) -> SourceGrid:
    shape = image.shape[:3]
    if any(size > 1 for size in image.shape[3:]) and not _is_colour(image):
        raise UnsupportedImage(
            f"{path}: {'×'.join(map(str, image.shape))}, a series or vectors; expected a picture or a volume. Split it."
        )
    affine = np.diag([*[millimetres_per_unit(image.header)] * 3, 1.0]) @ image.affine
    single_slice = len(shape) == 2 or shape[2] == 1
    if _is_identity(shape, image.affine):
        return SourceGrid((*shape[:2], 1), affine, planar=len(shape) == 2)
    if single_slice and image.header["qform_code"] == image.header["sform_code"] == 0:
        return SourceGrid.of_picture(shape, spacing_of(affine)[:2].tolist())
    return SourceGrid.oriented(shape, affine)


def _is_identity(shape: tuple[int, ...], affine: npt.NDArray[np.float64]) -> bool:
    return (len(shape) == 2 or shape[2] == 1) and np.array_equal(affine, np.eye(4))


def _is_colour(image: Any) -> bool:
    """Whether the voxels are RGB(A) records, or vectors of three as ITK writes colours."""
    return image.get_data_dtype().names is not None or (image.ndim == 5 and image.shape[3:] == (1, 3))
