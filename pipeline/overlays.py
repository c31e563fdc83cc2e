"""Pictures to look at: an image with the outlines of its masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation, binary_erosion

from pipeline.atomic import written_aside
from pipeline.fonts import picture_font
from pipeline.labels import FURTHER_COLOURS

__all__ = [
    "AGREEMENT",
    "PREDICTION",
    "REFERENCE",
    "colour_of",
    "draw_agreement",
    "draw_filled",
    "draw_overlay",
    "save_overlay",
    "to_grey",
    "with_caption",
]

Colour = tuple[int, int, int]

PREDICTION = (230, 40, 40)
REFERENCE = (60, 120, 255)
AGREEMENT = (255, 255, 255)
CAPTION = (220, 220, 220)
# Further classes, after the first: distinct for the colour-blind too (Okabe and Ito), as long as there are few.
FEW = (PREDICTION, (0, 158, 115), (240, 228, 66), (86, 180, 233), (204, 121, 167), (230, 159, 0))
CLASSES = (*FEW, *FURTHER_COLOURS)


def colour_of(index: int) -> Colour:
    """The colour of a class; 1 is the first. Twenty can be told apart, then they come again."""
    return CLASSES[(index - 1) % len(CLASSES)]


def to_grey(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """An image stretched to 8 bits between its 0.5 and 99.5 percentiles.

    Args:
        image: (W, H), or (W, H, 3), which is only scaled if it is not 8-bit already.
    Returns: The same shape, uint8.
    """
    if image.dtype == np.uint8 and image.ndim == 3:
        return np.asarray(image)
    finite = np.isfinite(image)
    if not finite.all():
        image = np.where(finite, image, image[finite].min() if finite.any() else 0)
    low, high = np.percentile(image, [0.5, 99.5])
    return np.clip((image - low) * (255.0 / max(high - low, 1e-12)), 0, 255).astype(np.uint8)


def draw_overlay(
    image: npt.NDArray[Any],
    mask: npt.NDArray[Any],
    reference: npt.NDArray[Any] | None = None,
    colours: Mapping[int, Colour] | None = None,
) -> npt.NDArray[np.uint8]:
    """An image with a tint and an outline for each class of the mask, and a blue outline for the reference.

    Args:
        image: (W, H) or (W, H, 3).
        mask: Class indices, (W, H).
        reference: Class indices, (W, H), or None.
        colours: Class index → RGB; `colour_of` for those that it does not have.
    Returns: RGB picture, (W, H, 3).
    """
    canvas = _canvas(image)
    width = _outline_width(mask)
    for index in np.unique(mask[mask > 0]).tolist():
        region = mask == index
        colour = np.asarray((colours or {}).get(index, colour_of(index)), dtype=np.float32)
        canvas[region] += 0.18 * (colour - canvas[region])
        canvas[_outline(region, width)] = colour
    if reference is not None:
        for index in np.unique(reference[reference > 0]).tolist():
            canvas[_outline(reference == index, width)] = REFERENCE
    return canvas.round().astype(np.uint8)


def draw_agreement(
    image: npt.NDArray[Any], prediction: npt.NDArray[Any], reference: npt.NDArray[Any]
) -> npt.NDArray[np.uint8]:
    """An image with both outlines: red the prediction's, blue the reference's, white where they meet.

    Where the classes differ the image is tinted: red where something is predicted that is not so in the reference, blue
    where the reference has something and the prediction nothing. What agrees is left as it is.

    Args:
        image: (W, H) or (W, H, 3).
        prediction: Class indices, (W, H).
        reference: Class indices, (W, H).
    Returns: RGB picture, (W, H, 3).
    """
    canvas = _canvas(image)
    width = 2 * _outline_width(prediction)
    differs = prediction != reference
    for where, colour in ((differs & (prediction > 0), PREDICTION), (differs & (prediction == 0), REFERENCE)):
        canvas[where] += 0.3 * (np.asarray(colour, dtype=np.float32) - canvas[where])
    predicted, expected = _outlines(prediction, width), _outlines(reference, width)
    canvas[expected] = REFERENCE
    canvas[predicted] = PREDICTION
    # Less than the width of a line apart, two outlines are one.
    near = [binary_dilation(outline, iterations=width) for outline in (expected, predicted)]
    canvas[(predicted & near[0]) | (expected & near[1])] = AGREEMENT
    return canvas.round().astype(np.uint8)


def draw_filled(
    image: npt.NDArray[Any], mask: npt.NDArray[Any], colours: Mapping[int, Colour]
) -> npt.NDArray[np.uint8]:
    """An image under its mask: each class in its colour, with an outline.

    Args:
        image: (W, H) or (W, H, 3).
        mask: Class indices, (W, H).
        colours: Class index → RGB; `colour_of` for those that it does not have.
    Returns: RGB picture, (W, H, 3).
    """
    canvas = _canvas(image)
    width = _outline_width(mask)
    for index in np.unique(mask[mask > 0]).tolist():
        region = mask == index
        colour = np.asarray(colours.get(index, colour_of(index)), dtype=np.float32)
        canvas[region] += 0.4 * (colour - canvas[region])
        canvas[_outline(region, width)] = colour
    return canvas.round().astype(np.uint8)


def save_overlay(
    image: npt.NDArray[Any], mask: npt.NDArray[Any], path: Path, reference: npt.NDArray[Any] | None = None
) -> None:
    """Draw and write a PNG; see `draw_overlay`."""
    picture = np.ascontiguousarray(draw_overlay(image, mask, reference).swapaxes(0, 1))
    with written_aside(path) as aside:
        Image.fromarray(picture).save(aside, format="PNG")


def with_caption(
    picture: npt.NDArray[np.uint8], classes: Sequence[tuple[str, Colour]], title: str
) -> npt.NDArray[np.uint8]:
    """A picture with a bar below it that names the classes by their colours; the picture itself stays as it is.

    Args:
        picture: RGB, (W, H, 3).
        classes: Name and colour of each.
        title: What made the outlines.
    Returns: RGB picture, (W, higher, 3).
    """
    width = picture.shape[0]
    size = int(np.clip(width // 45, 9, 48))
    font = picture_font(size)
    entries: list[tuple[Colour | None, str]] = []
    for colour, text in [*((colour, name) for name, colour in classes), (None, title)]:
        first, *more = _lines(text, width - size // 2 - (0 if colour is None else 3 * size // 2), font)
        entries += [(colour, first), *((None, one) for one in more)]
    places: list[tuple[int, int]] = []
    left, line = size // 2, 0
    for colour, text in entries:
        wide = int(font.getlength(text)) + (0 if colour is None else 3 * size // 2)
        if left > size // 2 and left + wide > width:
            left, line = size // 2, line + 1
        places.append((left, line))
        left += wide + size
    bar = Image.new("RGB", (width, (line + 1) * 3 * size // 2 + size // 2))
    draw = ImageDraw.Draw(bar)
    for (colour, text), (left, line) in zip(entries, places, strict=True):
        top = size // 3 + line * 3 * size // 2
        if colour is not None:
            draw.rectangle((left, top, left + size, top + size), fill=colour)
            left += 3 * size // 2
        draw.text((left, top), text, fill=CAPTION, font=font)
    return np.concatenate([picture, np.asarray(bar).swapaxes(0, 1)], axis=1)


def _lines(text: str, room: int, font: Any) -> list[str]:
    """A text in lines that have room, broken at blanks, and within a word only if that alone has none."""
    lines = [""]
    for word in text.split():
        if lines[-1] and font.getlength(f"{lines[-1]} {word}") <= room:
            lines[-1] += f" {word}"
            continue
        lines.append("")
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > room:
                lines.append("")
            lines[-1] += letter
    return [line for line in lines if line] or [""]


def _canvas(image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The image as RGB to draw on."""
    grey = to_grey(image)
    return (np.repeat(grey[..., None], 3, axis=2) if grey.ndim == 2 else grey).astype(np.float32)


def _outline_width(mask: npt.NDArray[Any]) -> int:
    return max(1, round(max(mask.shape) / 400))


def _outlines(mask: npt.NDArray[Any], width: int) -> npt.NDArray[np.bool_]:
    """The outlines of all classes."""
    found = np.zeros(mask.shape, dtype=bool)
    for index in np.unique(mask[mask > 0]).tolist():
        found |= _outline(mask == index, width)
    return found


def _outline(region: npt.NDArray[np.bool_], width: int) -> npt.NDArray[np.bool_]:
    return region & ~binary_erosion(region, iterations=width, border_value=1)
