"""Headers whose data lie in a file of their own (.mhd, .nhdr)."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import UnreadableImage

__all__ = ["are_several", "require_beside"]


def are_several(name: str) -> bool:
    """Whether what a header names is a list that follows, or a pattern of numbers: "LIST", "slice%03d.raw 1 20 1"."""
    return name.upper().split()[:1] == ["LIST"] or "%" in name


def require_beside(path: str, name: str) -> Path:
    """The file that a header names.

    Args:
        path: Of the header.
        name: Of one data file, absolute or from the header's folder.
    Raises: UnreadableImage: if it is not there.
    """
    data = Path(path).parent / name
    if not data.is_file():
        raise UnreadableImage(f"{path}: its data file {name} is not beside it. Copy both.")
    return data
