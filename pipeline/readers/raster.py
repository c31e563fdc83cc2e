"""PNG, JPEG, BMP, GIF and TIFF: pixels without orientation or known spacing.

Alpha is dropped, not blended: what lies under it is what was measured. A mask that lies in it alone is refused. The
dots per inch of these files speak of print, not of the patient, so the spacing is unknown.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageSequence, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.geometry import EXIF_AXES, SourceGrid
from pipeline.readers.picture import Picture, exact_dtype

__all__ = ["raster_grid", "read_raster"]

TAG_WIDTH = 256
TAG_HEIGHT = 257
TAG_BITS_PER_SAMPLE = 258
TAG_PHOTOMETRIC = 262
TAG_ORIENTATION = 274
MIN_IS_WHITE = 0


def read_raster(path: str, container: str, *, labels: bool = False) -> Picture:
    """Decode a PNG, JPEG, BMP, GIF or TIFF file: all pages of a TIFF, the first frame of another.

    Args:
        path: The file.
        container: "PNG", "JPEG", "BMP", "GIF" or "TIFF".
        labels: Keep the indices of a palette image, and give a 1-bit image as 0/1 rather than 0/255.
    Raises: UnsupportedImage: for a mode that is no picture, for pages of different sizes, or for a mask in alpha alone.
    """
    image = _open(path, container)
    if image is None:
        return _read_deep(path, container)
    with image:
        if labels and _is_alpha_alone(image):
            raise UnsupportedImage(
                f"{path}: its colour is the same everywhere: what is drawn lies in the alpha channel (transparency) "
                "alone, which is not read. Save that channel as grey, with Pillow: image.getchannel('A')."
            )
        mode, pages = image.mode, _pages(image)
        palette = _palette(image) if labels and mode in ("P", "1") and not _is_grey_gif(image) else None
        orientation = _orientation(image)
        if pages > 1:
            array = _stack(path, [_pixels(page, labels) for page in ImageSequence.Iterator(image)])
        else:
            array = _pixels(image, labels)
        if container != "TIFF":
            orientation = _orientation(image)  # a PNG may say it behind its pixels
        told = _further_frames(image) if container == "GIF" else ()
    colour = array.ndim == (4 if pages > 1 else 3)
    shape = array.shape[: array.ndim - colour]
    if container == "TIFF":  # Pillow has turned it already
        stored = (shape[1], shape[0], *shape[2:]) if EXIF_AXES[orientation][0] == (1, 0) else shape
        grid = SourceGrid.of_picture(stored, exif_orientation=orientation)
    else:
        grid = SourceGrid.of_picture(shape, exif_orientation=orientation)
        array = grid.to_display(array)
    return Picture(path, array, grid, container, photometric=mode, colour=colour, palette=palette, warnings=told)


def raster_grid(path: str, container: str) -> SourceGrid:
    """The grid of a PNG, JPEG, BMP, GIF or TIFF file, from its header."""
    image = _open(path, container)
    if image is None:
        return _read_deep(path, container).grid
    with image:
        orientation, pages = _orientation(image), _pages(image)
        shape = image.size
        if isinstance(image, TiffImageFile):
            shape = image.tag_v2[TAG_WIDTH], image.tag_v2[TAG_HEIGHT]
        return SourceGrid.of_picture((*shape, pages) if pages > 1 else shape, exif_orientation=orientation)


def _open(path: str, container: str) -> Image.Image | None:
    """The file as Pillow sees it, or None where Pillow would cut its colours to 8 bits."""
    try:
        image = Image.open(path, formats=[container])
    except UnidentifiedImageError:
        raise UnreadableImage(
            f"{path}: the {container} file is damaged, cut short, or of a kind that is not read "
            "(64-bit, compressed in a rare way). Export it as 8 or 16 bit or float32."
        ) from None
    except Image.DecompressionBombError:
        raise UnsupportedImage(
            f"{path}: too many pixels (over {2 * (Image.MAX_IMAGE_PIXELS or 0)}). Crop it."
        ) from None
    if image.mode == "LAB":
        image.close()
        raise UnsupportedImage(f"{path}: CIELAB colours are not read. Export it as RGB.")
    if _is_deep_colour(image):
        image.close()
        return None
    return image


def _pages(image: Image.Image) -> int:
    # Further frames of a PNG or GIF are an animation, those of a JPEG (MPO) previews; a TIFF alone is a stack.
    return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1


def _further_frames(image: Image.Image) -> tuple[str, ...]:
    """What to tell of the frames of an animation that are not read."""
    frames = int(getattr(image, "n_frames", 1))
    return (f"an animation of {frames} frames, of which the first is read",) if frames > 1 else ()


def _orientation(image: Image.Image) -> int:
    """EXIF orientation; of a TIFF to be asked before decoding, which turns the picture and removes the tag."""
    tags: Any = image.tag_v2 if isinstance(image, TiffImageFile) else image.getexif() if _has_exif(image) else {}
    orientation = tags.get(TAG_ORIENTATION, 1)
    return int(orientation) if orientation in EXIF_AXES else 1


def _has_exif(image: Image.Image) -> bool:
    return any(key in image.info for key in ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"))


def _stack(path: str, pages: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    sizes = sorted({f"{page.shape[0]}×{page.shape[1]}" for page in pages})
    if len({page.shape for page in pages}) > 1:
        raise UnsupportedImage(f"{path}: its {len(pages)} pages differ ({', '.join(sizes)}). Export one of them.")
    return np.stack(pages, axis=2)


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether the file holds 16-bit colours, which Pillow would cut to 8 bits."""
    if isinstance(image, TiffImageFile):
        bits = image.tag_v2.get(TAG_BITS_PER_SAMPLE, (1,))
        return len(bits) > 1 and max(bits) > 8
    # A tile is (codec, extents, offset, raw mode), by position since Pillow 10 too; "RGB;16B" is what is looked for.
    modes = [str(tile[3]) for tile in getattr(image, "tile", ())]
    return image.format == "PNG" and image.mode != "I;16" and any(";16" in mode for mode in modes)


def _pixels(image: Image.Image, labels: bool) -> npt.NDArray[Any]:
    """Decoded pixels, (W, H) or (W, H, 3)."""
    mode = image.mode
    if isinstance(image, TiffImageFile) and _orientation(image) > 4:
        # Pillow 13 turns the size before it decodes, which scrambles an uncompressed TIFF.
        image._size = image.tag_v2[TAG_WIDTH], image.tag_v2[TAG_HEIGHT]
    tags: Any = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    min_is_white = tags.get(TAG_PHOTOMETRIC) == MIN_IS_WHITE
    if mode in ("LA", "La") or _is_grey_gif(image):
        image = image.convert("L")
    elif mode in ("RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "PA") or (mode == "P" and not labels):
        image = image.convert("RGB")
    array = np.array(image.transpose(Image.Transpose.TRANSPOSE))  # faster than NumPy, and contiguous
    if mode == "1":
        array = array.astype(np.uint8) * np.uint8(1 if labels else 255)
    elif mode == "I" and image.format == "PNG":
        array = array.astype(np.uint16)  # Pillow before 11 widens 16-bit PNG
    elif min_is_white and mode == "L" and labels:
        array = np.uint8(255) - array  # Pillow turns 8 bits round by itself: back to the values that are stored
    elif min_is_white and mode.startswith("I;16") and not labels:
        array = np.uint16(65535) - array.astype(np.uint16)  # 16 bits it does not turn round
    return exact_dtype(array)


def _is_alpha_alone(image: Image.Image) -> bool:
    """Whether a picture shows nothing but by its transparency."""
    if image.mode not in ("LA", "RGBA"):
        return False
    *colours, alpha = (band.getextrema() for band in image.split())
    return all(low == high for low, high in colours) and alpha[0] != alpha[1]


def _is_grey_gif(image: Image.Image) -> bool:
    """Whether a GIF, which has no greys but by a palette, has one of greys alone: its indices are in any order."""
    if image.format != "GIF" or image.mode != "P":
        return False
    palette = _palette(image)
    return palette is not None and bool((palette == palette[:, :1]).all())


def _palette(image: Image.Image) -> npt.NDArray[np.uint8] | None:
    if image.mode == "1":
        return np.array([[0] * 3, [255] * 3], dtype=np.uint8)
    palette = image.getpalette("RGB")
    return None if palette is None else np.array(palette, dtype=np.uint8).reshape(-1, 3)


def _read_deep(path: str, container: str) -> Picture:
    from pipeline.readers.itk import read_itk_raster

    return read_itk_raster(path, container)
