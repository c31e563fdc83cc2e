"""Stored pixels of a DICOM object, whatever its transfer syntax."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.readers.codestreams import RLE_LOSSLESS, check_frames, fragments_of, frames_begun, with_whole_scans
from pipeline.readers.functional_groups import number_of_frames

__all__ = ["PIXEL_KEYWORDS", "cut_short", "stored_pixels"]

PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1 = (f"1.2.840.10008.1.2.4.{number}" for number in (51, 57, 70))
# JPEG processes that DICOM has retired and pydicom no longer knows: the stream itself says its process to libjpeg.
RETIRED = {
    **{f"1.2.840.10008.1.2.4.{number}": JPEG_EXTENDED for number in (52, 53, 54, 55, 56, 59, 60, 61, 62, 63, 64)},
    **{f"1.2.840.10008.1.2.4.{number}": JPEG_LOSSLESS for number in (58, 65, 66)},
}
LOSSY_JPEG = {"1.2.840.10008.1.2.4.50", JPEG_EXTENDED}
VIDEO = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in range(100, 110))
NATIVE = frozenset({"1.2.840.10008.1.2", *(f"1.2.840.10008.1.2{end}" for end in (".1", ".2", ".1.99"))})
ENCAPSULATED = ("1.2.840.10008.1.2.4.", RLE_LOSSLESS)
COLOUR_SPACES = ("RGB", "YBR")


def stored_pixels(path: str, ds: Any) -> tuple[npt.NDArray[Any], list[str]]:
    """Decode the pixels; unused and overlay bits are cut off, and YBR_FULL becomes RGB.

    Args:
        path: For messages.
        ds: The data set; what is missing of its Image Pixel module is filled in.
    Returns: Pixels, x first: (columns, rows[, frames][, samples]), and what was assumed, one line each.

    Raises:
        UnreadableImage: if pixels are missing or damaged.
        UnsupportedImage: if nothing decodes the transfer syntax.
        Exception: what a decoder raises on damaged data.
    """
    if not any(ds.get(keyword) for keyword in PIXEL_KEYWORDS):
        if ds.get("PixelDataProviderURL"):
            raise UnsupportedImage(f"{path}: its pixels lie on a server (JPIP), not in the file. Export it with them.")
        raise cut_short(path)
    told = _filled_in(ds)
    syntax = _transfer_syntax(ds)
    if syntax.startswith(ENCAPSULATED) and syntax not in VIDEO:
        check_frames(ds, syntax)
    frames = number_of_frames(ds)
    surplus = _frames_held(ds, syntax) - frames
    if surplus > 0:
        told.append(f"The file holds {frames + surplus} frames, its header says {frames}: the others are left out.")
    try:
        array = _decoded(ds, RETIRED.get(syntax, syntax))
    except NotImplementedError as error:
        raise _no_decoder(path, syntax) from error
    except Exception as error:
        if not _has_decoder(RETIRED.get(syntax, syntax)):
            raise _no_decoder(path, syntax) from error
        mended = with_whole_scans(ds.PixelData) if syntax in LOSSY_JPEG else None
        if mended is None:
            raise
        ds.PixelData = mended
        array = _decoded(ds, syntax)
    if frames == 1 and array.ndim == 3 + (int(ds.SamplesPerPixel) > 1):
        array = array[0]
    array, line = _used_bits(array[:frames] if frames > 1 else array, ds, syntax)
    told += [line] if line else []
    if frames > 1:
        return array.transpose(2, 1, 0, *range(3, array.ndim)), told
    return array.swapaxes(0, 1), told


def cut_short(path: str) -> UnreadableImage:
    """The error for a file without its end."""
    return UnreadableImage(f"{path}: the DICOM file is damaged or cut short. Copy or export it again.")


def _filled_in(ds: Any) -> list[str]:
    """Fill in what a careless writer has left out, and say what was assumed."""
    photometric = str(ds.get("PhotometricInterpretation") or "")
    samples = int(ds.get("SamplesPerPixel") or (3 if photometric.startswith(COLOUR_SPACES) else 1))
    usual: dict[str, Any] = {
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "RGB" if samples == 3 else "MONOCHROME2",
    }
    if "PixelData" in ds:
        usual |= {"BitsStored": ds.get("BitsAllocated"), "PixelRepresentation": 0}
    if samples == 3:
        usual["PlanarConfiguration"] = 0
    missing = [keyword for keyword in usual if ds.get(keyword) in (None, "")]
    for keyword in missing:
        setattr(ds, keyword, usual[keyword])
    return [f"{', '.join(missing)} missing: the usual was assumed."] if missing else []


def _transfer_syntax(ds: Any) -> str:
    syntax = ds.file_meta.get("TransferSyntaxUID") if hasattr(ds, "file_meta") else None
    if syntax is None:
        # A file without its meta header: pydicom has found out how it is encoded.
        known = hasattr(ds, "original_encoding")
        implicit, little_endian = ds.original_encoding if known else (ds.read_implicit_vr, ds.read_little_endian)
        explicit = ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
        ds.file_meta.TransferSyntaxUID = syntax = ImplicitVRLittleEndian if implicit else explicit
    return str(syntax)


def _decoded(ds: Any, syntax: str) -> npt.NDArray[Any]:
    """Pixels as pydicom gives them: ([frames,] rows, columns[, samples])."""
    if ds.file_meta.TransferSyntaxUID != syntax:
        ds.file_meta.TransferSyntaxUID = UID(syntax)
    if not hasattr(pydicom, "pixels"):  # pydicom 2
        if syntax == RLE_LOSSLESS:
            ds.convert_pixel_data("rle")
        array: npt.NDArray[Any] = ds.pixel_array
        return array
    decoder = pydicom.pixels.get_decoder(syntax)
    options: dict[str, Any] = {"allow_excess_frames": False}
    if syntax == RLE_LOSSLESS:
        options["decoding_plugin"] = "pydicom"  # pylibjpeg-rle ends the process on damaged data
    if syntax not in pydicom.uid.JPEG2000TransferSyntaxes + pydicom.uid.JPEGLSTransferSyntaxes:
        # pydicom takes BitsStored - 1 for HighBit, and lets what JPEG overshoots wrap round.
        options["correct_unused_bits"] = False
    array, _ = decoder.as_array(ds, **options)
    return array


def _frames_held(ds: Any, syntax: str) -> int:
    """How many frames the pixel data hold, as far as that can be told without decoding."""
    data = ds.get("PixelData")
    if data is not None and syntax.startswith(ENCAPSULATED) and syntax not in VIDEO:
        return frames_begun(fragments_of(data))
    if data is None or syntax not in NATIVE:
        return 1
    bits = int(ds.Rows) * int(ds.Columns) * int(ds.SamplesPerPixel) * int(ds.get("BitsAllocated") or 8)
    if str(ds.PhotometricInterpretation) == "YBR_FULL_422":
        bits = bits // 3 * 2
    return 8 * len(data) // bits if bits else 1


def _used_bits(array: npt.NDArray[Any], ds: Any, syntax: str) -> tuple[npt.NDArray[Any], str]:
    """The bits from HighBit down, BitsStored of them; the others hold overlays or nothing (PS3.5, 8.1.1)."""
    allocated, stored = int(ds.get("BitsAllocated") or 0), int(ds.get("BitsStored") or 0)
    if "PixelData" not in ds or not 1 < stored < allocated or allocated != 8 * array.itemsize:
        return array, ""
    signed = array.dtype.kind == "i"
    if syntax in LOSSY_JPEG or syntax in RETIRED:
        low, high = (-(2 ** (stored - 1)), 2 ** (stored - 1) - 1) if signed else (0, 2**stored - 1)
        return np.clip(array, low, high), ""
    if syntax.startswith(ENCAPSULATED[0]) and syntax not in (JPEG_LOSSLESS, JPEG_LOSSLESS_SV1):
        return array, ""  # the codestream has its own precision, and pydicom mends its sign
    unused = allocated - stored
    high_bit = ds.get("HighBit")
    above = allocated - 1 - int(high_bit) if isinstance(high_bit, int) else unused
    told = ""
    if above != unused and not 0 <= above <= unused:
        above = unused
    elif above != unused and (array & ((1 << (unused - above)) - 1)).any() and not (array >> stored).any():
        told = f"HighBit {high_bit} does not fit pixels in the lowest {stored} bits: {stored - 1} was taken."
        above = unused
    return (array << above) >> unused, told


def _no_decoder(path: str, syntax: str) -> UnsupportedImage:
    name = UID(syntax).name if re.fullmatch(r"[0-9.]{5,64}", syntax) else "what it names"
    what = "a video, not a picture" if syntax in VIDEO else "a transfer syntax without a decoder here"
    return UnsupportedImage(f"{path}: {name} is {what}. Export it uncompressed or as JPEG 2000.")


def _has_decoder(syntax: str) -> bool:
    if hasattr(pydicom, "pixels"):
        try:
            return bool(pydicom.pixels.get_decoder(syntax).is_available)
        except NotImplementedError:
            return False
    handlers = pydicom.config.pixel_data_handlers
    return any(handler.is_available() and handler.supports_transfer_syntax(UID(syntax)) for handler in handlers)
