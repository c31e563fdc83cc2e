"""Write masks and probabilities back on the grid of the file that was read.

The containers keep it differently. NIfTI, MetaImage and NRRD carry orientation, so the array goes back to the stored
axes with the stored affine; a mask of a NIfTI file takes over its header, with qform, sform, their codes and units. PNG
carries none: the mask of a PNG, JPEG, BMP, GIF or TIFF has the stored rows, columns and EXIF orientation, the mask
of a DICOM or NIfTI picture is written as a viewer shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.atomic import written_aside
from pipeline.errors import GeometryMismatch, InvalidOption
from pipeline.geometry import SourceGrid, lps_to_ras, spacing_of
from pipeline.readers.container import suffix_of
from pipeline.readers.picture import Picture

__all__ = ["write_mask", "write_probabilities"]

RASTER_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF")
TAG_ORIENTATION = 274
PNG_WHITE = 65535


@dataclass(frozen=True, eq=False)
class _Source:
    grid: SourceGrid
    source_format: str
    header: bytes

    @classmethod
    def of(cls, source: Picture | Mapping[str, Any]) -> _Source:
        if isinstance(source, Picture):
            return cls(source.grid, source.source_format, source.header)
        header = bytes.fromhex(source.get("source_header", ""))
        return cls(SourceGrid.from_meta(source), str(source.get("source_format", "")), header)


def write_mask(mask: npt.NDArray[Any], source: Picture | Mapping[str, Any], path: str | Path) -> None:
    """Write class indices on the grid of the file they belong to.

    Args:
        mask: Integers in display orientation, (W, H) or (W, H, D); uint8 where they fit, else uint16.
        source: The picture, or its MONAI metadata.
        path: .png (one slice), .nii.gz, .nii, .mha or .nrrd. Appears only when it is complete.

    Raises:
        GeometryMismatch: if the mask does not have the picture's size.
        InvalidOption: for another suffix, a volume as PNG, or values that are no class indices.
    """
    if mask.dtype.kind == "f" and not np.array_equal(mask, np.trunc(mask)):
        raise InvalidOption(
            f"{path}: the mask holds fractions. Take the arg-max before writing, or write probabilities."
        )
    low, high = (int(mask.min()), int(mask.max())) if mask.size else (0, 0)
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise InvalidOption(f"{path}: mask values from {low} to {high}; expected class indices from 0 to 65535.")
    _write(mask.astype(np.uint8 if high <= 255 else np.uint16, copy=False), 0, _Source.of(source), Path(path))


def write_probabilities(
    probabilities: npt.NDArray[np.floating[Any]], source: Picture | Mapping[str, Any], path: str | Path
) -> None:
    """Write one float32 map a class, channel last, or one class as a 16-bit PNG where 65535 is 1.

    Args:
        probabilities: Display orientation, channel first: (C, W, H) or (C, W, H, D).
        source: The picture, or its MONAI metadata.
        path: As for `write_mask`.
    Raises: GeometryMismatch, InvalidOption: as `write_mask`; InvalidOption for several classes as PNG.
    """
    classes = probabilities.shape[0]
    if suffix_of(path) == ".png":
        if classes > 1:
            raise InvalidOption(f"{path}: a PNG holds the probabilities of one class, not {classes}. Write .nii.gz.")
        grey = np.rint(np.clip(probabilities[0], 0, 1) * PNG_WHITE).astype(np.uint16)
        _write(grey, 0, _Source.of(source), Path(path))
        return
    array = np.moveaxis(probabilities, 0, -1).astype(np.float32, copy=False)
    _write(array if classes > 1 else array[..., 0], classes if classes > 1 else 0, _Source.of(source), Path(path))


def _write(array: npt.NDArray[Any], channels: int, source: _Source, path: Path) -> None:
    """Write a display array; `channels` counts those of its last axis, 0 where it has none."""
    suffix = suffix_of(path)
    expected = source.grid.display_shape + ((channels,) if channels else ())
    if array.shape != expected:
        sizes = ("×".join(map(str, shape)) for shape in (array.shape, expected))
        raise GeometryMismatch(
            "{}: the mask is {}, its image {}. Undo the resizing (Invertd) before writing.".format(path, *sizes)
        )
    if suffix == ".png":
        _write_png(array, source, path)
    elif suffix in (".nii", ".nii.gz"):
        _write_nifti(source.grid.to_source(array), channels, source, path)
    elif suffix in (".mha", ".nrrd"):
        _write_itk(source.grid.to_source(array), channels, source, path)
    else:
        raise InvalidOption(f"{path}: masks are written as .png, .nii.gz, .nii, .mha or .nrrd, not as '{suffix}'.")


def _write_png(array: npt.NDArray[Any], source: _Source, path: Path) -> None:
    from PIL import Image

    if source.grid.depth > 1:
        raise InvalidOption(f"{path}: a PNG holds one slice, the mask has {source.grid.depth}. Write .nii.gz.")
    options: dict[str, Any] = {}
    if source.source_format in RASTER_FORMATS:
        orientation = source.grid.exif_orientation
        array = source.grid.to_source(array)
        array = array[:, :, 0] if array.ndim == 3 else array  # a page of a TIFF stack
        if orientation != 1:
            options["exif"] = Image.Exif()
            options["exif"][TAG_ORIENTATION] = orientation
    # Pillow turns a picture six times as fast as NumPy.
    image = Image.fromarray(np.ascontiguousarray(array)).transpose(Image.Transpose.TRANSPOSE)
    with written_aside(path) as aside:
        image.save(aside, format="PNG", **options)


def _write_nifti(stored: npt.NDArray[Any], channels: int, source: _Source, path: Path) -> None:
    import nibabel as nib

    from pipeline.readers.nifti import header_from, millimetres_per_unit

    if channels and source.grid.planar:
        stored = stored[:, :, np.newaxis]  # the fourth axis is the one for channels
    if source.header:
        header = header_from(source.header)
        header.set_data_dtype(stored.dtype)
        header.set_slope_inter(1, 0)
        header["cal_min"] = header["cal_max"] = 0
        image_class = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
        image = image_class(stored, None, header)
        if source.grid.frame >= 0:
            affine = np.diag([*[1 / millimetres_per_unit(header)] * 3, 1.0]) @ source.grid.stored_affine
            image.set_sform(affine, int(header["sform_code"]))
            image.set_qform(affine, int(header["qform_code"]))
    else:
        image = nib.Nifti1Image(stored, source.grid.stored_affine)
        image.set_sform(source.grid.stored_affine, "scanner")
        image.set_qform(source.grid.stored_affine, "scanner")
        if not np.allclose(image.get_qform(), source.grid.stored_affine, rtol=0, atol=1e-3):
            # A quaternion has no shear, which a tilted gantry's slices have: only the sform says where they lie.
            image.set_qform(source.grid.stored_affine, "unknown")
        image.header.set_xyzt_units("mm")
    with written_aside(path) as aside:
        nib.save(image, aside)


def _write_itk(stored: npt.NDArray[Any], channels: int, source: _Source, path: Path) -> None:
    import SimpleITK as sitk  # noqa: N813

    spatial = stored.ndim - bool(channels)
    image = sitk.GetImageFromArray(
        np.ascontiguousarray(stored.transpose(*reversed(range(spatial)), *range(spatial, stored.ndim))),
        isVector=bool(channels),
    )
    affine = lps_to_ras(source.grid.stored_affine)[:, [*range(spatial), 3]]
    spacing = spacing_of(source.grid.stored_affine)[:spatial]
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:spatial, spatial].tolist())
    image.SetDirection((affine[:spatial, :spatial] / spacing).ravel().tolist())
    with written_aside(path) as aside:
        sitk.WriteImage(image, str(aside), useCompression=True)
