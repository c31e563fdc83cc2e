"""From stored DICOM values to what they mean: HU, grey with a dark background, red green and blue.

The order is that of the standard's grayscale pipeline: modality LUT, VOI LUT, then the photometric interpretation.

References: DICOM PS3.3, C.7.6.3.1.2 (photometric interpretation), C.11.1 (modality LUT), C.11.2 (VOI LUT).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom

from pipeline.readers.dicom_geometry import functional_group, numbers
from pipeline.readers.picture import exact_dtype

try:  # pydicom 3
    from pydicom.pixels import apply_color_lut, convert_color_space
except ImportError:  # pydicom 2
    from pydicom.pixel_data_handlers.util import apply_color_lut, convert_color_space

__all__ = ["colour_values", "grey_values", "palette_of"]

# A viewer's grey: what the VOI LUT gives, whatever bits it was made for.
DISPLAY_WHITE = 255.0

# pydicom 3 gives YBR_FULL as RGB, pydicom 2 as stored.
DECODER_TURNS_YBR = hasattr(pydicom, "pixels")


def grey_values(ds: Any, pixels: npt.NDArray[Any], *, voi: bool) -> npt.NDArray[Any]:
    """Modality values (HU in CT) of a monochrome picture, MONOCHROME1 turned round so that background is dark.

    MONOCHROME1 is mirrored about the range that BitsStored allows, taken through the modality LUT: not about the values
    that happen to occur, so that two films of one detector keep one scale.

    Args:
        ds: The data set.
        pixels: Stored values, frames last.
        voi: Apply the VOI LUT or window; the result is float32 from 0 to 255.
    """
    bits = int(ds.get("BitsStored") or 8 * pixels.itemsize)
    signed = int(ds.get("PixelRepresentation") or 0) == 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if ds.get("ModalityLUTSequence"):
        item = ds.ModalityLUTSequence[0]
        pixels = _look_up(item, pixels)
        low, high = 0, 2 ** int(item.LUTDescriptor[2]) - 1
    else:
        pixels, (low, high) = _rescale(ds, pixels, (low, high))
    if voi:
        pixels, (low, high) = _apply_voi(ds, pixels), (0, DISPLAY_WHITE)
    if ds.get("PhotometricInterpretation") == "MONOCHROME1":
        pixels = _mirror(pixels, low + high)
    return exact_dtype(pixels)


def colour_values(ds: Any, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Red, green and blue of a colour picture, last axis 3."""
    photometric = str(ds.get("PhotometricInterpretation"))
    if photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, ds)[..., :3]
        if pixels.dtype == np.uint16 and pixels.max() > 255:  # tables of 16 bits
            pixels = (pixels >> 8).astype(np.uint8)
        return exact_dtype(pixels)
    if not DECODER_TURNS_YBR and photometric in ("YBR_FULL", "YBR_FULL_422"):
        pixels = convert_color_space(pixels, photometric, "RGB")
    return exact_dtype(pixels)


def palette_of(ds: Any) -> npt.NDArray[np.uint8]:
    """The colours (n, 3) of a PALETTE COLOR object."""
    count = int(ds.RedPaletteColorLookupTableDescriptor[0]) or 65536
    return colour_values(ds, np.arange(count, dtype=np.uint16 if count > 256 else np.uint8)).astype(np.uint8)


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


def _apply_voi(ds: Any, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Grey from 0 to 255 by the first VOI LUT or window, or by the whole range of values where there is none."""
    if ds.get("VOILUTSequence") and values.dtype.kind in "iu":
        item = ds.VOILUTSequence[0]
        white = 2 ** int(item.LUTDescriptor[2]) - 1
        return _look_up(item, values).astype(np.float32) * np.float32(DISPLAY_WHITE / white)
    group = functional_group(ds, 0, "FrameVOILUTSequence")
    item = ds if group is None else group
    centre, width = _first_number(item, "WindowCenter"), _first_number(item, "WindowWidth")
    function = str(item.get("VOILUTFunction") or "LINEAR")
    grey = values.astype(np.float32)
    if centre is None or width is None or width <= 0:
        low, high = float(grey.min()), float(grey.max())
        return (grey - low) / np.float32(high - low if high > low else 1.0) * np.float32(DISPLAY_WHITE)
    if function == "SIGMOID":
        return np.float32(DISPLAY_WHITE) / (1 + np.exp(-4 * (grey - np.float32(centre)) / np.float32(width)))
    if function == "LINEAR_EXACT":
        fraction = (grey - np.float32(centre)) / np.float32(width) + np.float32(0.5)
    else:
        fraction = (grey - np.float32(centre - 0.5)) / np.float32(max(width - 1, 1e-3)) + np.float32(0.5)
    return np.clip(fraction, 0, 1) * np.float32(DISPLAY_WHITE)


def _first_number(item: Any, keyword: str) -> float | None:
    value = item.get(keyword)
    try:
        return float(value if isinstance(value, (int, float, str)) else value[0])
    except (TypeError, ValueError, IndexError):
        return None


def _look_up(item: Any, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values through the table of a modality or VOI LUT item."""
    count, first, bits = (int(v) for v in item.LUTDescriptor)
    data = item.LUTData
    if isinstance(data, bytes):
        table = np.frombuffer(data, dtype=np.uint8 if bits <= 8 and len(data) <= (count or 65536) + 1 else "<u2")
    else:
        table = np.array(data, dtype=np.uint16)
    if values.dtype.kind == "i" and first > 32767:
        first -= 65536  # the descriptor is unsigned where a guess of its VR went wrong
    index = np.clip(values.astype(np.int32) - first, 0, min(count or 65536, len(table)) - 1)
    return table[index]
