"""NIfTI-1 and NIfTI-2 in one file (.nii, .nii.gz)."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from pipeline.errors import UnsupportedImage
from pipeline.geometry import SourceGrid, spacing_of
from pipeline.readers.picture import Picture, exact_dtype

__all__ = ["header_from", "millimetres_per_unit", "nifti_grid", "read_nifti"]

GZIP = b"\x1f\x8b"

# Length unit of the header (xyzt_units) → mm. Most files say mm or nothing, and nothing means mm.
MILLIMETRES = {"meter": 1000.0, "micron": 0.001}


def read_nifti(path: str) -> Picture:
    """Decode a NIfTI file.

    A single slice whose affine is exactly the identity, or that declares no orientation at all, is what software writes
    that was given none: it is taken as stored, [x, y]. With the identity its spacing is unknown too, and so is that of
    any file which declares neither orientation nor unit and has 1 for every size.

    Raises: UnsupportedImage: for time series, vectors and complex numbers.
    """
    content = Path(path).read_bytes()
    if content.startswith(GZIP):
        content = gzip.decompress(content)  # all of it, so that its checksum is checked
    header = header_from(content)
    grid = _grid(path, header)
    image = (nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image).from_bytes(content)
    array = np.asanyarray(image.dataobj)
    if array.dtype.kind == "c":
        raise UnsupportedImage(f"{path}: complex numbers. Export the magnitude.")
    colour = _is_colour(header)
    if array.dtype.names is not None:
        array = np.stack([array[name] for name in "RGB"], axis=-1)
    array = exact_dtype(array.reshape(grid.stored_shape + ((3,) if colour else ())))
    known = not (_is_identity(grid.shape, header.get_best_affine()) or _says_nothing(header))
    unit = header.get_xyzt_units()[0]
    return Picture(
        path,
        grid.to_display(array),
        grid,
        "NIfTI",
        spacing_mm=grid.spacing_mm if known else None,
        spacing_source="NIfTI header" if known else "unknown",
        photometric=str(header.get_data_dtype()),
        colour=colour,
        warnings=(f"Lengths in {unit} were turned into mm.",) if unit in MILLIMETRES else (),
        header=header.binaryblock,
    )


def nifti_grid(path: str) -> SourceGrid:
    """The grid of a NIfTI file, from its header."""
    with Path(path).open("rb") as file:
        zipped = file.read(2) == GZIP
    with gzip.open(path) if zipped else Path(path).open("rb") as file:
        return _grid(path, header_from(file.read(nib.Nifti2Header.sizeof_hdr)))


def millimetres_per_unit(header: Any) -> float:
    """What one unit of the header's lengths is in millimetres; 1 where it says nothing."""
    return MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)


def header_from(content: bytes) -> Any:
    """The NIfTI-1 or NIfTI-2 header at the start of the bytes."""
    header_class = nib.Nifti2Header if content[4:7] == b"n+2" else nib.Nifti1Header
    return header_class(content[: header_class.sizeof_hdr])


def _grid(path: str, header: Any) -> SourceGrid:
    whole = header.get_data_shape()
    shape = tuple(int(size) for size in whole[:3])
    if len(shape) < 2 or (any(size > 1 for size in whole[3:]) and not _is_colour(header)):
        raise UnsupportedImage(
            f"{path}: {'×'.join(map(str, whole))}, a series or vectors; expected a picture or a volume. Split it."
        )
    stored = header.get_best_affine()
    affine = np.diag([*[millimetres_per_unit(header)] * 3, 1.0]) @ stored
    single_slice = len(shape) == 2 or shape[2] == 1
    if _is_identity(shape, stored):
        return SourceGrid((shape[0], shape[1], 1), affine, planar=len(shape) == 2)
    if single_slice and header["qform_code"] == header["sform_code"] == 0:
        return SourceGrid.of_picture(shape, spacing_of(affine)[:2].tolist())
    return SourceGrid.oriented(shape, affine)


def _is_identity(shape: tuple[int, ...], affine: npt.NDArray[np.float64]) -> bool:
    return (len(shape) == 2 or shape[2] == 1) and np.array_equal(affine, np.eye(4))


def _says_nothing(header: Any) -> bool:
    """Whether the sizes are those of a header that nobody filled in."""
    oriented = header["qform_code"] != 0 or header["sform_code"] != 0
    return not oriented and header.get_xyzt_units()[0] == "unknown" and bool((header["pixdim"][1:4] == 1).all())


def _is_colour(header: Any) -> bool:
    """Whether the voxels are RGB(A) records, or vectors of three as ITK writes colours."""
    return header.get_data_dtype().names is not None or header.get_data_shape()[3:] == (1, 3)
