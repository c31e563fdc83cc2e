"""The font of what is written on pictures."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

__all__ = ["picture_font"]


def picture_font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu Sans, which comes with Matplotlib and knows the letters of names in most languages.

    Pillow's own font, which is taken where there is no Matplotlib, knows those of English alone.

    Args:
        size: Pixels.
    """
    found = find_spec("matplotlib")
    path = Path(found.origin or "").parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf" if found else None
    if path is not None and path.is_file():
        return ImageFont.truetype(str(path), size)
    return ImageFont.load_default(size)
