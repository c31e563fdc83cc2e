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
# Name and colour.
Key = tuple[str, tuple[int, int, int]]


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
    line, width = TEXT + GAP, columns * (SIDE + GAP) + GAP
    lines = _lines(title, width - 2 * GAP, font)
    key_rows = _rows([("prediction", PREDICTION), ("reference", REFERENCE)], width - 2 * GAP, font)
    head = (len(lines) + len(key_rows)) * line + GAP
    sheet = Image.new("RGB", (width, head + rows * (SIDE + line + GAP)), PAPER)
    draw = ImageDraw.Draw(sheet)
    _write_head(draw, lines, key_rows, font)
    for number, (caption, case) in enumerate(cases):
        left = GAP + number % columns * (SIDE + GAP)
        top = head + number // columns * (SIDE + line + GAP)
        panel = _picture(draw_agreement(case.detail, case.predictions[0], case.reference))
        panel.thumbnail((SIDE, SIDE))
        sheet.paste(panel, (left + (SIDE - panel.width) // 2, top + (SIDE - panel.height) // 2))
        draw.text((left, top + SIDE + 2), _fitting(caption, SIDE, font), fill=INK, font=font)
    return sheet


def _in_a_row(panels: Sequence[tuple[str, NDArray[np.uint8]]], title: str, keys: Sequence[Key]) -> Image.Image:
    font = picture_font(TEXT)
    width = GAP + sum(array.shape[0] + GAP for _, array in panels)
    lines, rows = _lines(title, width - 2 * GAP, font), _rows(keys, width - 2 * GAP, font)
    line = TEXT + GAP
    head = (len(lines) + len(rows) + 1) * line + GAP
    sheet = Image.new("RGB", (width, head + max(array.shape[1] for _, array in panels) + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = _write_head(draw, lines, rows, font)
    left = GAP
    for name, array in panels:
        draw.text((left, top), name, fill=INK, font=font)
        sheet.paste(_picture(array), (left, head))
        left += array.shape[0] + GAP
    return sheet


def _write_head(draw: ImageDraw.ImageDraw, lines: Sequence[str], rows: Sequence[Sequence[Key]], font: Font) -> int:
    """Lines of a title and rows of keys at the top of a sheet; where the next line may begin, px."""
    top = GAP // 2
    for text in lines:
        draw.text((GAP, top), text, fill=INK, font=font)
        top += TEXT + GAP
    for row in rows:
        end = float(GAP)
        for name, colour in row:
            end = _key(draw, (end, top), name, colour, font)
        top += TEXT + GAP
    return top


def _lines(text: str, width: int, font: Font) -> list[str]:
    """The text in lines of at most that width, px."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else ""
        if longer and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(_fitting(word, width, font))
    return lines


def _rows(keys: Sequence[Key], width: int, font: Font) -> list[list[Key]]:
    """The keys in rows of at most that width, px; a name that does not fit alone is shortened."""
    rows: list[list[Key]] = []
    end = 0.0
    for name, colour in keys:
        shown = _fitting(name, width - TEXT - 4, font)
        wide = _width_of_key(shown, font)
        if not rows or end + wide - 2 * GAP > width:
            rows.append([])
            end = 0.0
        rows[-1].append((shown, colour))
        end += wide
    return rows


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
    return left + _width_of_key(name, font)


def _width_of_key(name: str, font: Font) -> float:
    return TEXT + 4 + font.getlength(name) + 2 * GAP


def _fitting(text: str, width: int, font: Font) -> str:
    """The text, or its two ends: a long file name is in front of the figure that the picture is there for."""
    shown, kept = text, len(text)
    while kept and font.getlength(shown) > width:
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
