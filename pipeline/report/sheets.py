"""Pictures of cases for slides and papers: triptychs, overlays, and nine cases on one sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.fonts import picture_font
from pipeline.overlays import PREDICTION, REFERENCE, colour_of, draw_agreement, draw_overlay, with_caption
from pipeline.report.pictures import CasePicture, class_colours, with_box

__all__ = ["collage", "overlay", "triptych"]

INK, PAPER = "#222222", "white"
TEXT = 14
GAP = 8
COLUMNS = 3
# Side of a case on the sheet of nine, pixels.
SIDE = 320

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colours = Mapping[int, tuple[int, int, int]]


def triptych(case: CasePicture, classes: Sequence[str], title: str) -> Image.Image:
    """Image, mask and prediction beside one another, the masks in the colours of their classes on black.

    Args:
        case: The case; where a small part is shown, the image has a frame around it.
        classes: Class names, without the background.
        title: Stands above.
    """
    colours = class_colours(classes, (255, 255, 255))
    panels = [
        ("image", _rgb(with_box(case.image, case.box))),
        ("mask", _painted(case.reference, colours)),
        ("prediction", _painted(case.predictions[0], colours)),
    ]
    keys = [(name, colours[index]) for index, name in enumerate(classes, 1)] if len(classes) > 1 else []
    return _in_a_row(panels, title, keys)


def overlay(case: CasePicture, classes: Sequence[str], title: str) -> Image.Image:
    """The image with each predicted class tinted and outlined in its colour, and the reference's outlines in blue."""
    drawn = draw_overlay(case.detail, case.predictions[0], case.reference)
    keys = [(name, colour_of(index)) for index, name in enumerate(classes, 1)] + [("reference", REFERENCE)]
    return _picture(with_caption(drawn, keys, title))


def collage(cases: Sequence[tuple[str, CasePicture]], title: str) -> Image.Image:
    """Up to nine cases, three in a row: the prediction red, the reference blue, white where both outlines meet.

    Args:
        cases: Caption and picture of each, in their order.
        title: Stands above.
    """
    columns = min(COLUMNS, len(cases))
    rows = math.ceil(len(cases) / columns)
    font = picture_font(TEXT)
    head, line = 2 * TEXT + GAP, TEXT + GAP
    sheet = Image.new("RGB", (columns * (SIDE + GAP) + GAP, head + rows * (SIDE + line + GAP)), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP), title, fill=INK, font=font)
    end = float(draw.textlength(title, font=font)) + 3 * GAP
    for name, colour in (("prediction", PREDICTION), ("reference", REFERENCE)):
        end = _key(draw, (end, GAP), name, colour, font)
    for number, (caption, case) in enumerate(cases):
        left = GAP + number % columns * (SIDE + GAP)
        top = head + number // columns * (SIDE + line + GAP)
        panel = _picture(draw_agreement(case.detail, case.predictions[0], case.reference))
        panel.thumbnail((SIDE, SIDE))
        sheet.paste(panel, (left + (SIDE - panel.width) // 2, top + (SIDE - panel.height) // 2))
        draw.text((left, top + SIDE + 2), _fitting(draw, caption, font), fill=INK, font=font)
    return sheet


def _in_a_row(
    panels: Sequence[tuple[str, NDArray[np.uint8]]], title: str, keys: Sequence[tuple[str, tuple[int, int, int]]]
) -> Image.Image:
    font = picture_font(TEXT)
    head = 2 * (TEXT + GAP) + GAP
    width = GAP + sum(array.shape[0] + GAP for _, array in panels)
    sheet = Image.new("RGB", (width, head + max(array.shape[1] for _, array in panels) + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP // 2), title, fill=INK, font=font)
    end = float(draw.textlength(title, font=font)) + 3 * GAP
    for name, colour in keys:
        end = _key(draw, (end, GAP // 2), name, colour, font)
    left = GAP
    for name, array in panels:
        draw.text((left, TEXT + GAP + GAP // 2), name, fill=INK, font=font)
        sheet.paste(_picture(array), (left, head))
        left += array.shape[0] + GAP
    return sheet


def _key(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    name: str,
    colour: tuple[int, int, int],
    font: Font,
) -> float:
    """A square of the colour and its name; returns where the next one may begin."""
    left, top = at
    draw.rectangle((left, top + 2, left + TEXT - 2, top + TEXT), fill=colour, outline=INK)
    draw.text((left + TEXT + 4, top), name, fill=INK, font=font)
    return left + TEXT + 4 + float(draw.textlength(name, font=font)) + 2 * GAP


def _fitting(draw: ImageDraw.ImageDraw, text: str, font: Font) -> str:
    """The text, or its two ends: a long file name is in front of the figure that the picture is there for."""
    shown, kept = text, len(text)
    while kept and draw.textlength(shown, font=font) > SIDE:
        kept -= 1
        front = kept // 2
        shown = f"{text[:front]}…{text[len(text) - (kept - front) :]}"
    return shown


def _painted(mask: NDArray[np.uint8], colours: Colours) -> NDArray[np.uint8]:
    painted = np.zeros((*mask.shape, 3), np.uint8)
    for index, colour in colours.items():
        painted[mask == index] = colour
    return painted


def _rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def _picture(array: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(array.swapaxes(0, 1)))
