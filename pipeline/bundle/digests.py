"""Digests of the configs of a bundle, by which a later change is told."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.digests import file_sha256

__all__ = ["config_digests"]

# What is written after a run by those who speak of it: scores and version.
SPOKEN_OF = ("metadata.json",)


def config_digests(root: str | os.PathLike[str]) -> dict[str, str]:
    """SHA-256 of each file in a bundle's `configs`, by its path in the bundle; `metadata.json` is left out."""
    folder = Path(root) / "configs"
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {
        path.relative_to(root).as_posix(): file_sha256(path)
        for path in files
        if path.name not in SPOKEN_OF and "__pycache__" not in path.parts
    }
