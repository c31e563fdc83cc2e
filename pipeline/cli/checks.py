"""Lines of checks, as `planar audit verify` and `planar card --check` print them."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.tasks.audit import Check

__all__ = ["check_lines", "wrapped"]

# Of a thousand changed files the first ones are enough on a screen; --json has all.
MOST_FILES = 20
OUTCOME, ABOUT = 9, 17
INDENT = " " * (OUTCOME + ABOUT)


def check_lines(check: Check) -> list[str]:
    """PASS, FAIL or SKIPPED, what was looked at, what was found; below it each file that is not as it was recorded."""
    lines = wrapped(f"{check.outcome.value:<{OUTCOME}}{check.about:<{ABOUT}}{check.words}", INDENT)
    # Paths are never torn: they are there to be copied.
    lines += [f"{INDENT}{file}" for file in check.files[:MOST_FILES]]
    more = len(check.files) - MOST_FILES
    return lines + ([f"{INDENT}… and {more} more (--json lists all)"] if more > 0 else [])


def wrapped(line: str, indent: str = "") -> list[str]:
    """A line as the terminal is wide; where there is none, as in a file, it stays one line."""
    if not sys.stdout.isatty():
        return [line]
    width = max(shutil.get_terminal_size().columns, 60)
    head, rest = line[: len(indent)], line[len(indent) :]
    parts = textwrap.wrap(rest, width - len(indent), break_long_words=False, break_on_hyphens=False) or [""]
    return [head + parts[0], *(indent + part for part in parts[1:])]
