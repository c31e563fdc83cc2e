"""A slice of a volume is named by the volume's file and its number from 0: `ct.nii.gz#slice=12`."""

from __future__ import annotations

import os

__all__ = ["FRAGMENT", "split_fragment"]

FRAGMENT = "#slice="


def split_fragment(path: str | os.PathLike[str]) -> tuple[str, int | None]:
    """The file and the slice number of a path that may end in `#slice=K`."""
    file, mark, number = os.fspath(path).rpartition(FRAGMENT)
    return (file, int(number)) if mark and number.isdecimal() else (os.fspath(path), None)
