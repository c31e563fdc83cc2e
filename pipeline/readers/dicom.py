"""DICOM objects that hold a picture."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import pydicom
from pydicom.uid import UID

from pipeline import MANUFACTURER
from pipeline.archives import open_binary, split_archive, time_of_change
from pipeline.errors import NoPicture, UnsupportedImage
from pipeline.geometry import SourceGrid
from pipeline.readers.deflated import require_room_if_deflated
from pipeline.readers.dicom_decoding import cut_short, stored_pixels
from pipeline.readers.dicom_geometry import layout_of
from pipeline.readers.dicom_pixels import colour_values, grey_values, palette_of
from pipeline.readers.dicom_spacing import spacing_of_film
from pipeline.readers.functional_groups import number_of_frames
from pipeline.readers.picture import Picture

__all__ = ["dataset_of", "dicom_grid", "is_segmentation", "read_dicom", "read_header"]

# Objects that hold pixels and are no picture of the patient, with what they are.
NO_PICTURES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation (SEG), not an image",
    "1.2.840.10008.5.1.4.1.1.66.7": "a segmentation (label map), not an image",
    "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose, not an image",
}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
# SEG and label map.
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
DIRECTORY = "1.2.840.10008.1.3.10"
# SOP classes of the standard: whatever else stands there may be anything, a patient's name included.
KNOWN = re.compile(r"1\.2\.840\.10008\.[0-9.]{1,40}")
RETIRED_COLOURS = ("PALETTE COLOR", "HSV", "ARGB", "CMYK", "YBR_PARTIAL_422", "YBR_PARTIAL_420")
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOURED = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def read_dicom(path: str, *, voi: bool = False, labels: bool = False) -> Picture:
    """Decode a DICOM file.

    Args:
        path: The file.
        voi: Apply the VOI LUT or window: grey from 0 to 255, float32.
        labels: Leave the values as stored: no rescaling, no turning round, palette indices. A DICOM segmentation
            gives the numbers of its segments.

    Raises:
        UnreadableImage: if it is cut short or damaged.
        UnsupportedImage: if it holds no picture, or its transfer syntax cannot be decoded.
    """
    ds = dataset_of(path)
    if labels and is_segmentation(ds):
        from pipeline.readers.segmentation import segmentation_picture

        return segmentation_picture(path, ds)
    _check_is_picture(path, ds)
    pixels, told = stored_pixels(path, ds)
    photometric = str(ds.PhotometricInterpretation)
    colour = int(ds.SamplesPerPixel) > 1
    _check_colours(path, photometric, colour)
    palette = None
    if photometric == "PALETTE COLOR":
        palette = palette_of(ds) if labels else None
        values = pixels if labels else colour_values(ds, pixels)
        colour = not labels
    elif colour:
        values = colour_values(ds, pixels)
    elif labels:
        values = pixels
    else:
        values, remarks = grey_values(ds, pixels, voi=voi)
        told += remarks
    layout = layout_of(ds)
    if layout.order is not None:
        values = values[:, :, layout.order]
    spacing_mm, source, remark = spacing_of_film(ds)
    return Picture(
        path,
        layout.grid.to_display(values.reshape(layout.grid.stored_shape + ((3,) if colour else ()))),
        layout.grid,
        "DICOM",
        spacing_mm=layout.grid.as_displayed(spacing_mm),
        spacing_source=source,
        modality=str(ds.get("Modality") or ""),
        photometric=photometric,
        colour=colour,
        subject_id=str(ds.get("PatientID") or ""),
        warnings=(*((remark,) if remark else ()), *layout.warnings, *told),
        palette=palette,
    )


def dicom_grid(path: str) -> SourceGrid:
    """The grid of a DICOM file, from its header."""
    return layout_of(read_header(path)).grid


def read_header(path: str) -> Any:
    """The data set of a picture without its pixels.

    Raises: UnreadableImage, UnsupportedImage: as `read_dicom`, as far as the header tells.
    """
    ds = dataset_of(path, stop_before_pixels=True)
    _check_is_picture(path, ds)
    if number_of_frames(ds) > time_of_change(path)[1]:  # a frame takes some bytes
        raise cut_short(path)
    return ds


def dataset_of(path: str, **options: Any) -> Any:
    """The data set of a file or of a member of an archive, whether it begins as the standard demands or not.

    Args:
        path: The file.
        **options: For `pydicom.dcmread`.
    Raises: UnsupportedImage: if it is deflated, and larger than the memory.
    """
    if split_archive(path) is None:
        with open_binary(path) as file:
            require_room_if_deflated(path, file)
        return pydicom.dcmread(path, force=True, **options)
    with open_binary(path) as file:
        whole = BytesIO(file.read())
    require_room_if_deflated(path, whole)
    whole.seek(0)
    return pydicom.dcmread(whole, force=True, **options)


def is_segmentation(ds: Any) -> bool:
    """Whether the object is a DICOM segmentation (masks as BINARY, FRACTIONAL or LABELMAP)."""
    return str(ds.get("SOPClassUID") or "") in SEGMENTATIONS


def _check_is_picture(path: str, ds: Any) -> None:
    sop_class = str(ds.get("SOPClassUID") or "")
    what = NO_PICTURES.get(sop_class)
    if what is not None:
        raise NoPicture(f"{path}: the DICOM object is {what}. Give the images it was made from.")
    if sop_class == SECONDARY_CAPTURE and str(ds.get("Manufacturer") or "") == MANUFACTURER:
        raise NoPicture(f"{path}: the DICOM object shows outlines by Planar. Give the images it was made from.")
    if sop_class == WHOLE_SLIDE:
        raise UnsupportedImage(f"{path}: the DICOM object is a tiled whole-slide image. Give the regions as images.")
    if "Rows" in ds and "Columns" in ds:
        return
    if "DirectoryRecordSequence" in ds or sop_class == DIRECTORY:
        raise UnsupportedImage(f"{path}: a DICOMDIR, which lists images and holds none. Give it as the input itself.")
    name = UID(sop_class).name if KNOWN.fullmatch(sop_class) else ""
    if not name or "Image Storage" in name:
        raise cut_short(path)
    raise NoPicture(f"{path}: the DICOM object ({name}) holds no pixels. Give image objects.")


def _check_colours(path: str, photometric: str, colour: bool) -> None:
    if photometric not in (COLOURED if colour else (*GREY, "PALETTE COLOR")):
        samples = "3 samples" if colour else "1 sample"
        named = photometric if photometric in (*COLOURED, *GREY, *RETIRED_COLOURS) else "not known"
        raise UnsupportedImage(
            f"{path}: photometric interpretation {named}, with {samples} a pixel. Export it as grey or RGB."
        )
