"""When two class names are one: capitals, Unicode forms and spaces make no other class."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["class_key", "repeated_class"]


def class_key(name: str) -> str:
    """A class name without what makes it no other class: " Größe" and "größe", however its ö is written, are one."""
    folded = unicodedata.normalize("NFC", name).casefold()
    return unicodedata.normalize("NFC", " ".join(folded.split()))


def repeated_class(names: Sequence[str]) -> str | None:
    """The first of some class names that is one of those before it, as it is written there; None if there is none."""
    keys = [class_key(name) for name in names]
    return next((name for place, name in enumerate(names) if keys[place] in keys[:place]), None)
