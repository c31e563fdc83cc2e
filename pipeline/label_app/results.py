"""Masks as files for clients."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import InvalidOption
from pipeline.geometry import lps_to_ras, spacing_of
from pipeline.readers import write_mask

if TYPE_CHECKING:
    from pipeline.label_app.segmenting import Made

__all__ = ["FORMATS", "write_result"]

FORMATS = (".png", ".nii.gz", ".nii", ".nrrd", ".mha", ".dcm")
# A mask has class numbers: formats that change them on the way are no formats for it, whatever the image is stored as.
INSTEAD_OF_LOSSY = {".jpg": ".png", ".jpeg": ".png", ".bmp": ".png", ".tif": ".png", ".tiff": ".png"}
RASTER = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "DICOM")
DTYPES = ("uint8", "uint16")


def write_result(made: Made, request: Mapping[str, Any]) -> Path:
    """Write a mask to the temporary folder.

    Args:
        made: The mask.
        request: `result_extension`, one of `FORMATS`: by default PNG for pictures and single films, NIfTI for the rest,
            as `planar infer` has it; `result_dtype`, "uint8" or "uint16", and `result_compress`, of NRRD.

    Raises:
        InvalidOption: for a format that there is not, or none for this image.
        UnsupportedImage: if no DICOM segmentation can be made of this image.
    """
    picture = made.result.picture
    flat = picture.depth == 1
    usual = ".png" if flat and picture.source_format in RASTER else ".nii.gz"
    ending = str(request.get("result_extension") or usual).lower()
    ending = INSTEAD_OF_LOSSY.get(ending, ending)
    if ending not in FORMATS:
        raise InvalidOption(f"Masks are written as {', '.join(FORMATS)}, not as {ending[:20]!r}.")
    with tempfile.NamedTemporaryFile(prefix="planar-", suffix=ending, delete=False) as file:
        path = Path(file.name)
    try:
        if ending == ".dcm":
            _write_seg(made, path)
        elif ending == ".nrrd":
            compress = str(request.get("result_compress", True)).lower() not in ("false", "0")
            _write_nrrd(made, path, str(request.get("result_dtype") or "uint8"), compress)
        else:
            write_mask(made.result.mask, picture, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _write_seg(made: Made, path: Path) -> None:
    from pipeline.tasks.infer.archive import images_of, require_highdicom, write_segmentation

    require_highdicom()
    write_segmentation(made.result, images_of(made.result.source), made.model, "binary", path)


def _write_nrrd(made: Made, path: Path, dtype: str, compress: bool) -> None:
    """A mask for viewers: of three axes also for a film, for one of two says nothing of space.

    Numbers and bytes are as the client asks for them: OHIF wants bytes, and what is compressed it reads only where the
    number of voxels is even.
    """
    if dtype not in DTYPES:
        raise InvalidOption(f"Masks have the type {' or '.join(DTYPES)}, not {dtype[:20]!r}.")
    import SimpleITK as sitk  # noqa: N813

    grid = made.result.picture.grid
    stored = grid.to_source(made.result.mask).reshape(grid.shape).astype(dtype)
    affine, spacing = lps_to_ras(grid.stored_affine), spacing_of(grid.stored_affine)
    image = sitk.GetImageFromArray(np.ascontiguousarray(stored.T))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    sitk.WriteImage(image, str(path), compress)
