"""Text on pictures, in the font that Pillow brings along."""

from __future__ import annotations

__all__ = ["drawable"]

# What pages write and the font does not have.
MISSING = str.maketrans({"\N{NARROW NO-BREAK SPACE}": " ", "\N{THIN SPACE}": " ", "\N{NO-BREAK SPACE}": " ", "−": "-"})


def drawable(text: str) -> str:
    """The text without characters that Pillow's own font draws as boxes."""
    return text.translate(MISSING)
