"""The ground that all our HTML pages stand on: one file, no network, light and dark, screen and paper.

A page is a Jinja2 template in `templates/` that extends ``base.html.j2`` and fills its blocks ``title``, ``lead`` and
``content``; ``parts.html.j2`` has macros for tables, figures and rows of pictures. The table of contents is made from
the page's own ``<h2 id=…>`` headings. An element with ``data-tip="text"`` shows the text on hover, tap and keyboard
focus; elements inside one with ``data-tip-group`` are walked through with the arrow keys. Charts (`report.chart`) take
their ink and their ground from the page, so that they fit it in the dark too.
"""

from __future__ import annotations

import base64
import io
import math
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pipeline import __version__
from pipeline.atomic import write_text_aside

__all__ = ["SERIES", "number", "percent", "picture_uri", "render", "write_page"]

TEMPLATES = Path(__file__).parent / "templates"

# Distinct for the colour-blind, in this order (Okabe and Ito), and readable on white and on black.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56a0d3")


def render(template_name: str, **content: Any) -> str:
    """A page as HTML.

    Args:
        template_name: A file in `templates/`, such as "report.html.j2".
        content: What the template uses. Text is escaped; `Markup` is taken as it is. A name that is missing raises.
    """
    return _environment().get_template(template_name).render(**content)


def write_page(path: str | os.PathLike[str], html: str) -> None:
    """Write a page whole or not at all."""
    write_text_aside(path, html)


def picture_uri(picture: NDArray[np.uint8], *, longest: int | None = None, image_format: str = "WEBP") -> str:
    """A picture as a ``data:`` URI for `<img src>`.

    Args:
        picture: (W, H) or (W, H, 3), indexed x first as everywhere.
        longest: Shrink so that the longer side has at most this many pixels.
        image_format: "WEBP" or "JPEG", both with small losses, or "PNG" with none.
    """
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture.swapaxes(0, 1)))
    if longest is not None and max(image.size) > longest:
        scale = longest / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    image.save(buffer, format=image_format, **({} if image_format == "PNG" else {"quality": 82}))
    content = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{image_format.lower()};base64,{content}"


def number(value: float | None, digits: int = 3) -> str:
    """A number for people: as many significant digits, thousands apart, a dash for None.

    Numbers of 10,000 and more are not cut: pixels are counted, not estimated.
    """
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -4:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    decimals = max(0, digits - 1 - size) if value != int(value) or abs(value) < 1 else 0
    return f"{value:,.{decimals}f}".replace(",", "\u202f").replace("-", "−")


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage, a dash for None."""
    return "–" if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f}\u00a0%"


def _headings(body: str) -> list[tuple[str, str]]:
    """The (id, text) of the page's sections."""
    found = re.findall(r'<h2[^>]*\bid="([^"]+)"[^>]*>(.*?)</h2>', body, flags=re.DOTALL)
    return [(name, Markup(" ".join(text.split())).striptags()) for name, text in found]


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": number, "percent": percent, "headings": _headings}
    environment.globals["planar_version"] = __version__
    return environment
