"""Documents in Markdown from templates in `templates/*.md.j2`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from pipeline import __version__
from pipeline.report.page import number

__all__ = ["render_markdown"]

TEMPLATES = Path(__file__).parent / "templates"


def render_markdown(template_name: str, **content: Any) -> str:
    """A document as Markdown.

    Args:
        template_name: A file in `templates/`, such as "model_card.md.j2".
        content: What the template uses; a name that is missing raises.
    """
    text = _environment().get_template(template_name).render(**content)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _row(cells: Iterable[Any], *first: str) -> str:
    """A row of a table."""
    return f"| {' | '.join(_cell(cell) for cell in (*first, *cells))} |"


def _rule(headings: Sequence[Any]) -> str:
    """The line below the headings, where one more column stands first."""
    return f"|{'---|' * (len(headings) + 1)}"


def _cell(value: Any) -> str:
    """A value as it may stand in a table: names of classes and data may hold anything."""
    return " ".join(str(value).split()).replace("|", "\\|")


@cache
def _environment() -> jinja2.Environment:
    # Not HTML: what Markdown would take for a tag is a name like any other.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": number, "cell": _cell, "row": _row, "rule": _rule}
    environment.globals["planar_version"] = __version__
    return environment
