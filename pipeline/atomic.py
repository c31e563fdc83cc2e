"""Files appear whole under their final name, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["write_text_aside", "written_aside"]


@contextmanager
def written_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A hidden name beside `path` to write to; renamed to `path` when the block ends well, removed otherwise.

    The hidden name keeps the suffix, for writers that choose their format by it. Folders are made as needed.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    aside = final.with_name(f".part-{os.getpid()}-{final.name}")
    try:
        yield aside
        aside.replace(final)
    finally:
        aside.unlink(missing_ok=True)


def write_text_aside(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")
