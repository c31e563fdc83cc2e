"""NIfTI-1 and NIfTI-2 in one file (.nii, .nii.gz)."""

from __future__ import annotations

import gzip
import zlib
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.geometry import SourceGrid, spacing_of
from pipeline.readers.picture import Picture, exact_dtype
from pipeline.readers.room import require_room

__all__ = ["header_from", "millimetres_per_unit", "nifti_grid", "read_nifti"]

GZIP = b"\x1f\x8b"
# What may follow the voxels.
LONGEST_SURPLUS = 2**26

# Length unit of the header (xyzt_units) → mm. Most files say mm or nothing, and nothing means mm.
MILLIMETRES = {"meter": 1000.0, "micron": 0.001}


def read_nifti(path: str) -> Picture:
    """Decode a NIfTI file.

    A single slice whose affine is exactly the identity, or that declares no orientation at all, is what software writes
    that was given none: it is taken as stored, [x, y]. With the identity its spacing is unknown too, and so is that of
    any file which declares neither orientation nor unit and has 1 for every size.

    Raises: UnsupportedImage: for time series, vectors and complex numbers, and if it is larger than the memory.
    """
    content = Path(path).read_bytes()
    if content.startswith(GZIP):
        content = _expanded(path, content)
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


def _expanded(path: str, packed: bytes) -> bytes:
    """A gzip file's content, to its end, so that its checksum is checked; but no more than its header speaks of."""
    with gzip.open(BytesIO(packed)) as file:
        header = header_from(file.read(nib.Nifti2Header.sizeof_hdr))
    values = prod(max(0, int(size)) for size in header.get_data_shape())
    expected = max(0.0, float(header["vox_offset"])) + values * header.get_data_dtype().itemsize
    require_room(path, expected)
    parts: list[bytes] = []
    left = int(expected) + LONGEST_SURPLUS
    while packed:  # a gzip file may have several parts
        stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        parts.append(stream.decompress(packed, left))
        left -= len(parts[-1])
        if left <= 0:
            raise UnreadableImage(f"{path}: it expands to much more than its header speaks of. Export it again.")
        if not stream.eof:
            raise EOFError("it ends too early")
        packed = stream.unused_data.lstrip(b"\0")
    return b"".join(parts) if len(parts) > 1 else parts[0]


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
