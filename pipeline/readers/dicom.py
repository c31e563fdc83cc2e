"""DICOM objects that hold a picture."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import pydicom
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.geometry import SourceGrid
from pipeline.readers.dicom_geometry import grid_of, spacing_of_film
from pipeline.readers.dicom_pixels import colour_values, grey_values, palette_of
from pipeline.readers.picture import Picture

__all__ = ["dicom_grid", "read_dicom", "read_header"]

# Objects that hold pixels and are no picture of the patient, with what they are.
NO_PICTURES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation (SEG), not an image",
    "1.2.840.10008.5.1.4.1.1.66.7": "a segmentation (label map), not an image",
    "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose, not an image",
    "1.2.840.10008.5.1.4.1.1.77.1.6": "a tiled whole-slide image",
}
# JPEG (processes 1 to 14) and JPEG-LS.
JPEG_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 53, 55, 57, 70, 80, 81))
END_OF_JPEG = b"\xff\xd9"
LONGEST_PADDING = 64
PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def read_dicom(path: str, *, voi: bool = False, labels: bool = False) -> Picture:
    """Decode a DICOM file.

    Args:
        path: The file.
        voi: Apply the VOI LUT or window: grey from 0 to 255, float32.
        labels: Leave the values as stored: no rescaling, no turning round, palette indices.

    Raises:
        UnreadableImage: if it is cut short or damaged.
        UnsupportedImage: if it holds no picture, or its transfer syntax cannot be decoded.
    """
    ds = pydicom.dcmread(path, force=True)
    _check_is_picture(path, ds)
    if not any(keyword in ds for keyword in PIXEL_KEYWORDS):
        raise _cut_short(path)
    pixels = _stored_pixels(path, ds)
    photometric = str(ds.get("PhotometricInterpretation") or "MONOCHROME2")
    colour = int(ds.get("SamplesPerPixel") or 1) > 1
    palette = None
    if photometric == "PALETTE COLOR":
        palette = palette_of(ds) if labels else None
        values = pixels if labels else colour_values(ds, pixels)
        colour = not labels
    elif colour:
        values = colour_values(ds, pixels)
    else:
        values = pixels if labels else grey_values(ds, pixels, voi=voi)
    grid, order = grid_of(ds)
    if order is not None:
        values = values[:, :, order]
    spacing_mm, source, told = spacing_of_film(ds)
    return Picture(
        path,
        grid.to_display(values.reshape(grid.stored_shape + ((3,) if colour else ()))),
        grid,
        "DICOM",
        spacing_mm=spacing_mm,
        spacing_source=source,
        modality=str(ds.get("Modality") or ""),
        photometric=photometric,
        colour=colour,
        subject_id=str(ds.get("PatientID") or ""),
        warnings=(told,) if told else (),
        palette=palette,
    )


def dicom_grid(path: str) -> SourceGrid:
    """The grid of a DICOM file, from its header."""
    return grid_of(read_header(path))[0]


def read_header(path: str) -> Any:
    """The data set of a picture without its pixels.

    Raises: UnreadableImage, UnsupportedImage: as `read_dicom`, as far as the header tells.
    """
    ds = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    _check_is_picture(path, ds)
    return ds


def _check_is_picture(path: str, ds: Any) -> None:
    sop_class = str(ds.get("SOPClassUID") or "")
    what = NO_PICTURES.get(sop_class)
    if what is not None:
        raise UnsupportedImage(f"{path}: the DICOM object is {what}. Give the images it was made from.")
    if "Rows" in ds and "Columns" in ds:
        return
    name = UID(sop_class).name
    if not sop_class or "Image Storage" in name:
        raise _cut_short(path)
    raise UnsupportedImage(f"{path}: the DICOM object ({name}) holds no pixels. Give image objects.")


def _stored_pixels(path: str, ds: Any) -> npt.NDArray[Any]:
    """Pixels as stored, x first: (columns, rows[, frames][, samples])."""
    syntax = ds.file_meta.get("TransferSyntaxUID") if hasattr(ds, "file_meta") else None
    if syntax is None:
        # A file without its meta header: pydicom has found out how it is encoded.
        implicit = ds.original_encoding[0] if hasattr(ds, "original_encoding") else ds.read_implicit_vr
        ds.file_meta.TransferSyntaxUID = syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    # libjpeg fills up what is missing of a JPEG or JPEG-LS stream with grey and says nothing.
    if str(syntax) in JPEG_SYNTAXES and END_OF_JPEG not in ds.PixelData[-LONGEST_PADDING:]:
        raise _cut_short(path)
    try:
        array = ds.pixel_array
    except NotImplementedError as error:
        raise _no_decoder(path, syntax) from error
    except Exception as error:
        if not _has_decoder(syntax):
            raise _no_decoder(path, syntax) from error
        raise
    frames = int(ds.get("NumberOfFrames") or 1)
    if frames > 1:
        return array.transpose(2, 1, 0, *range(3, array.ndim))
    return array.swapaxes(0, 1)


def _cut_short(path: str) -> UnreadableImage:
    return UnreadableImage(f"{path}: the DICOM file is damaged or cut short. Copy or export it again.")


def _no_decoder(path: str, syntax: Any) -> UnsupportedImage:
    name = UID(str(syntax)).name
    return UnsupportedImage(
        f"{path}: no decoder for its transfer syntax, {name}. Export it uncompressed or as JPEG 2000."
    )


def _has_decoder(syntax: Any) -> bool:
    if hasattr(pydicom, "pixels"):
        try:
            return bool(pydicom.pixels.get_decoder(syntax).is_available)
        except NotImplementedError:
            return False
    handlers = pydicom.config.pixel_data_handlers
    return any(handler.is_available() and handler.supports_transfer_syntax(syntax) for handler in handlers)
