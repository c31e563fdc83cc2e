"""A bundle that came with the installation is not trained where it is: the server has a copy of its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pipeline.atomic import replace_folder
from pipeline.bundle import Bundle, shipped_folder

__all__ = ["own_copy"]


def own_copy(bundle: Bundle, folder: Path) -> Bundle:
    """The bundle itself, or for one that was shipped a copy, which stays from then on once it has been trained.

    Args:
        bundle: Of the user's choice.
        folder: Of copies.
    """
    shipped = shipped_folder("bundles")
    if shipped is None or not bundle.root.resolve().is_relative_to(shipped.resolve()):
        return bundle
    place = folder / bundle.name
    if not (place / "models" / "decisions.jsonl").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f".part-{os.getpid()}-{bundle.name}"
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(bundle.root, aside, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        replace_folder(aside, place)
    return Bundle(place, bundle.name)
