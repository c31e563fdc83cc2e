"""PNG, JPEG, BMP and TIFF: pixels without orientation or known spacing.

Alpha is dropped, not blended: what lies under it is what was measured. The dots per inch of these files speak of print,
not of the patient, so the spacing is unknown.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageSequence, UnidentifiedImageError

from pipeline.errors import UnsupportedImage
from pipeline.geometry import EXIF_AXES, SourceGrid
from pipeline.readers.picture import Picture, exact_dtype

__all__ = ["raster_grid", "read_raster"]

FORMATS = {"PNG": "PNG", "JPEG": "JPEG", "MPO": "JPEG", "BMP": "BMP", "DIB": "BMP", "TIFF": "TIFF"}

TAG_BITS_PER_SAMPLE = 258
TAG_PHOTOMETRIC = 262
TAG_ORIENTATION = 274
MIN_IS_WHITE = 0


def read_raster(path: str, *, labels: bool = False) -> Picture:
    """Decode a PNG, JPEG, BMP or TIFF file, all pages of it.

    Args:
        path: The file.
        labels: Keep the indices of a palette image, and give a 1-bit image as 0/1 rather than 0/255.
    Raises: UnsupportedImage: for a mode that is no picture, or for pages of different sizes.
    """
    try:
        image = Image.open(path)
    except UnidentifiedImageError:
        return _read_deep(path)  # TIFF alone has pixel layouts that Pillow does not know (float64 …)
    with image:
        source_format = _format(path, image)
        mode, pages, orientation = image.mode, _pages(image), _tiff_orientation(image)
        palette = _palette(image) if labels and mode == "P" else None
        if _is_deep_colour(image):
            return _read_deep(path)
        if pages > 1:
            frames = [_pixels(page, labels) for page in ImageSequence.Iterator(image)]
            if len({frame.shape for frame in frames}) > 1:
                sizes = sorted({f"{frame.shape[0]}×{frame.shape[1]}" for frame in frames})
                raise UnsupportedImage(
                    f"{path}: its {pages} pages differ in size ({', '.join(sizes)}). Export one page."
                )
            array = np.stack(frames, axis=2)
        else:
            array = _pixels(image, labels)
        if source_format != "TIFF":
            orientation = image.getexif().get(TAG_ORIENTATION, 1)
    colour = array.ndim == (4 if pages > 1 else 3)
    shape = array.shape[: array.ndim - colour]
    if source_format == "TIFF":
        # Pillow has turned it already.
        grid = SourceGrid.of_picture(_stored_shape(shape, orientation), exif_orientation=orientation)
    else:
        grid = SourceGrid.of_picture(shape, exif_orientation=orientation if orientation in EXIF_AXES else 1)
        array = grid.to_display(array)
    return Picture(path, array, grid, source_format, photometric=mode, colour=colour, palette=palette)


def raster_grid(path: str) -> SourceGrid:
    """The grid of a file from its header; what EXIF says of a PNG or JPEG is left aside."""
    try:
        with Image.open(path) as image:
            _format(path, image)
            orientation, pages = _tiff_orientation(image), _pages(image)
            shape = (*_stored_shape(image.size, orientation), pages)[: 3 if pages > 1 else 2]
            return SourceGrid.of_picture(shape, exif_orientation=orientation)
    except UnidentifiedImageError:
        return _read_deep(path).grid


def _format(path: str, image: Image.Image) -> str:
    name = FORMATS.get(str(image.format))
    if name is None:
        raise UnsupportedImage(f"{path}: {image.format} pictures are not read. Export it as PNG, TIFF or DICOM.")
    return name


def _pages(image: Image.Image) -> int:
    # Further frames of a PNG are an animation, those of a JPEG (MPO) previews; a TIFF alone is a stack.
    return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1


def _tiff_orientation(image: Image.Image) -> int:
    """Orientation of a TIFF; to be asked before decoding, which turns the picture and removes the tag."""
    tags = getattr(image, "tag_v2", {})
    orientation = tags.get(TAG_ORIENTATION, 1)
    return orientation if orientation in EXIF_AXES else 1


def _stored_shape(shape: tuple[int, ...], orientation: int) -> tuple[int, ...]:
    turned = EXIF_AXES[orientation][0] == (1, 0)
    return (shape[1], shape[0], *shape[2:]) if turned else tuple(shape)


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether the file holds 16-bit colours, which Pillow would cut to 8 bits."""
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(TAG_BITS_PER_SAMPLE, (1,))
        return len(bits) > 1 and max(bits) > 8
    return image.format == "PNG" and image.mode in ("RGB", "RGBA", "LA") and "16" in str(getattr(image, "tile", ""))


def _pixels(image: Image.Image, labels: bool) -> npt.NDArray[Any]:
    """Decoded pixels, (W, H) or (W, H, 3)."""
    mode = image.mode
    min_is_white = mode.startswith("I;16") and getattr(image, "tag_v2", {}).get(TAG_PHOTOMETRIC) == MIN_IS_WHITE
    if mode in ("LA", "La"):
        image = image.convert("L")
    elif mode in ("RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "PA") or (mode == "P" and not labels):
        image = image.convert("RGB")
    elif mode == "LAB":
        raise UnsupportedImage("CIELAB colours are not read. Export the picture as RGB.")
    array = np.array(image.transpose(Image.Transpose.TRANSPOSE))  # faster than NumPy, and contiguous
    if mode == "1":
        array = array.astype(np.uint8) * np.uint8(1 if labels else 255)
    elif mode == "I" and image.format == "PNG":
        array = array.astype(np.uint16)  # Pillow before 11 widens 16-bit PNG
    elif min_is_white:
        array = np.uint16(65535) - array.astype(np.uint16)  # Pillow turns 8 bits round by itself, 16 bits it does not
    return exact_dtype(array)


def _palette(image: Image.Image) -> npt.NDArray[np.uint8] | None:
    palette = image.getpalette("RGB")
    return None if palette is None else np.array(palette, dtype=np.uint8).reshape(-1, 3)


def _read_deep(path: str) -> Picture:
    """A PNG or TIFF that Pillow would cut to 8 bits, by ITK."""
    from pipeline.readers.itk import read_itk_raster

    return read_itk_raster(path)
