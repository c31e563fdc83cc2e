"""From stored DICOM values to what they mean: HU, grey with a dark background, red green and blue.

The order is that of the standard's grayscale pipeline: modality LUT, VOI LUT, then the photometric interpretation.

References: DICOM PS3.3, C.7.6.3.1.2 (photometric interpretation), C.11.1 (modality LUT), C.11.2 (VOI LUT).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom

from pipeline.readers.dicom_voi import DISPLAY_WHITE, apply_voi
from pipeline.readers.functional_groups import functional_group, numbers
from pipeline.readers.lookup import is_big_endian, look_up, table_white
from pipeline.readers.padding import padding_of, padding_remark
from pipeline.readers.picture import exact_dtype

try:  # pydicom 3
    from pydicom.pixels import apply_color_lut, convert_color_space
except ImportError:  # pydicom 2
    from pydicom.pixel_data_handlers.util import apply_color_lut, convert_color_space

__all__ = ["colour_values", "grey_values", "palette_of"]

# pydicom 3 gives YBR_FULL as RGB, pydicom 2 as stored.
DECODER_TURNS_YBR = hasattr(pydicom, "pixels")


def grey_values(ds: Any, pixels: npt.NDArray[Any], *, voi: bool) -> tuple[npt.NDArray[Any], list[str]]:
    """Modality values (HU in CT) of a monochrome picture, MONOCHROME1 turned round so that background is dark.

    MONOCHROME1 is mirrored about the range that BitsStored allows, taken through the modality LUT: not about the values
    that happen to occur, so that two films of one detector keep one scale. PresentationLUTShape INVERSE means the same;
    where both are given, as the standard demands, the picture is turned once.

    Padding keeps its value; under a VOI LUT or window it is black.

    Args:
        ds: The data set.
        pixels: Stored values, frames last.
        voi: Apply the VOI LUT or window; the result is float32 from 0 to 255.
    Returns: The values, and what a user should know of them, one line each.
    """
    padding = padding_of(ds, pixels)
    bits = int(ds.get("BitsStored") or 8 * pixels.itemsize)
    signed = int(ds.get("PixelRepresentation") or 0) == 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if ds.get("ModalityLUTSequence"):
        item = ds.ModalityLUTSequence[0]
        pixels = look_up(item, pixels, ds)
        low, high = 0, table_white(item)
    else:
        pixels, (low, high) = _rescale(ds, pixels, (low, high))
    if voi:
        pixels, (low, high) = apply_voi(ds, pixels, padding), (0, DISPLAY_WHITE)
    turned, told = _is_turned(ds)
    if turned:
        pixels = _mirror(pixels, low + high)
    if padding is not None and voi:
        pixels[padding] = 0
    remark = padding_remark(pixels, padding)
    return exact_dtype(pixels), [line for line in (told, remark) if line]


def _is_turned(ds: Any) -> tuple[bool, str]:
    """Whether the picture's white is its background, and what contradicts itself there."""
    photometric, shape = str(ds.get("PhotometricInterpretation")), str(ds.get("PresentationLUTShape") or "")
    if photometric == "MONOCHROME1" and shape == "IDENTITY":
        return True, "PresentationLUTShape IDENTITY contradicts MONOCHROME1: the film was turned round."
    if photometric == "MONOCHROME2" and shape == "INVERSE":
        return True, "PresentationLUTShape INVERSE on MONOCHROME2: the film was turned round."
    return photometric == "MONOCHROME1", ""


def colour_values(ds: Any, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Red, green and blue of a colour picture, last axis 3."""
    photometric = str(ds.get("PhotometricInterpretation"))
    if photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, ds)[..., :3]
        if pixels.dtype == np.uint16:  # tables of 16 bits, which may hold 8
            pixels = pixels.byteswap() if is_big_endian(ds) else pixels
            pixels = (pixels >> 8 if pixels.max() > 255 else pixels).astype(np.uint8)
        return exact_dtype(pixels)
    if not DECODER_TURNS_YBR and photometric in ("YBR_FULL", "YBR_FULL_422"):
        pixels = convert_color_space(pixels, photometric, "RGB")
    return exact_dtype(pixels)


def palette_of(ds: Any) -> npt.NDArray[np.uint8]:
    """The colours (n, 3) of a PALETTE COLOR object, by stored value from 0."""
    count, first = (int(value) for value in ds.RedPaletteColorLookupTableDescriptor[:2])
    stored = np.arange(max(first, 0) + (count or 65536))
    return colour_values(ds, stored.astype(np.uint16 if len(stored) > 256 else np.uint8)).astype(np.uint8)


def _rescale(
    ds: Any, pixels: npt.NDArray[Any], ends: tuple[float, float]
) -> tuple[npt.NDArray[Any], tuple[float, float]]:
    """Values times slope plus intercept, integers where both are, with the ends of the range."""
    frames = pixels.shape[2] if pixels.ndim > 2 else 1
    lines = [_slope_and_intercept(ds, frame) for frame in range(frames)]
    slope, intercept = lines[0]
    if len(set(lines)) > 1:
        slopes, intercepts = np.array(lines).T
        rescaled = (pixels * slopes + intercepts).astype(np.float32)
    elif (slope, intercept) == (1, 0):
        rescaled = pixels
    elif pixels.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        wide = np.int32 if pixels.itemsize <= 2 and abs(slope) < 2**14 else np.int64
        rescaled = exact_dtype(pixels.astype(wide) * int(slope) + int(intercept))
    else:
        rescaled = (pixels * np.float64(slope) + intercept).astype(np.float32)
    low, high = sorted(slope * end + intercept for end in ends)
    return rescaled, (low, high)


def _slope_and_intercept(ds: Any, frame: int) -> tuple[float, float]:
    group = functional_group(ds, frame, "PixelValueTransformationSequence")
    item = ds if group is None else group
    slope, intercept = numbers(item, "RescaleSlope", 1), numbers(item, "RescaleIntercept", 1)
    # A slope of zero would make every pixel equal: a header's slip, never meant.
    return (slope[0] if slope and slope[0] != 0 else 1.0), (intercept[0] if intercept else 0.0)


def _mirror(values: npt.NDArray[Any], total: float) -> npt.NDArray[Any]:
    """`total` minus the values, in their own dtype where that holds the result."""
    if values.dtype.kind == "f":
        return np.float32(total) - values
    total = int(total)
    if values.dtype.kind == "u" and values.size and int(values.max()) <= total <= np.iinfo(values.dtype).max:
        return values.dtype.type(total) - values
    return exact_dtype(total - values.astype(np.int32))
