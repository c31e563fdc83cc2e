"""The pixel confusion matrix as a picture, for places that show no pages."""

from __future__ import annotations

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from pipeline.fonts import picture_font
from pipeline.report.confusion import confusion_rows

__all__ = ["draw_confusion"]

CELL, TEXT, GAP = 110, 14, 8
INK, PAPER = "#222222", "white"
# Share 0 and share 1 of a row.
LIGHT, DARK = (247, 251, 255), (8, 81, 156)


def draw_confusion(confusion: pd.DataFrame) -> Image.Image:
    """Rows are reference classes, columns predicted ones; each cell has its share of the row and its pixels.

    Args:
        confusion: Pixels by reference class (rows) and predicted class (columns).
    """
    rows = confusion_rows(confusion)
    names = [str(name) for name in confusion.columns]
    font, small = picture_font(TEXT), picture_font(TEXT - 3)
    margin = GAP + max(int(font.getlength(name)) for name in [*names, *(name for name, _ in rows), "reference"]) + GAP
    # Names that are wider than their column would run into one another: all stand upright then.
    upright = max(font.getlength(name) for name in names) > CELL - GAP
    named = margin - 2 * GAP if upright else TEXT
    top = TEXT + named + 3 * GAP
    picture = Image.new("RGB", (margin + CELL * len(names) + GAP, top + CELL * len(rows) + GAP), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((margin + CELL * len(names) / 2, GAP), "predicted", fill=INK, font=font, anchor="ma")
    draw.text((GAP, GAP), "reference", fill=INK, font=font)
    for column, name in enumerate(names):
        middle = margin + CELL * (column + 0.5)
        if upright:
            label = _upright(name, font)
            picture.paste(label, (round(middle - label.width / 2), top - GAP - label.height))
        else:
            draw.text((middle, top - GAP), name, fill=INK, font=font, anchor="ms")
    for row, (name, cells) in enumerate(rows):
        middle = top + CELL * (row + 0.5)
        draw.text((margin - GAP, middle), name, fill=INK, font=font, anchor="rm")
        for column, cell in enumerate(cells):
            left = margin + CELL * column
            shade = tuple(round(light + (dark - light) * cell.shade) for light, dark in zip(LIGHT, DARK, strict=True))
            draw.rectangle((left, top + CELL * row, left + CELL, top + CELL * (row + 1)), fill=shade, outline=PAPER)
            ink = PAPER if cell.shade > 0.5 else INK
            draw.text((left + CELL / 2, middle - 4), cell.text, fill=ink, font=font, anchor="mb")
            draw.text((left + CELL / 2, middle + 4), f"{cell.count} px", fill=ink, font=small, anchor="ma")
    return picture


def _upright(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    """A name that is read from below."""
    lying = Image.new("RGB", (max(1, int(font.getlength(name)) + 1), TEXT + GAP // 2), PAPER)
    ImageDraw.Draw(lying).text((0, lying.height / 2), name, fill=INK, font=font, anchor="lm")
    return lying.transpose(Image.Transpose.ROTATE_90)
