"""What the cases of an evaluation are called: as in the datalist, never by where they lie on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.datalist import read_datalist
from pipeline.fragments import split_fragment
from pipeline.readers import stem_of
from pipeline.split import PARTS

__all__ = ["DatalistNames", "MaskNames", "relative_names"]


class DatalistNames:
    """The items of a datalist by the absolute path that MONAI makes of them.

    Args:
        path: The datalist.json.
    Raises: MissingFile, InvalidDatalist: if it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        datalist = read_datalist(path)
        self.name = datalist.name
        self.folder = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120
        self._items: dict[str, dict[str, Any]] = {}
        for item in (item for part in PARTS for item in datalist.part(part)):
            if isinstance(item["image"], str):
                for folder in (self.folder, os.path.realpath(self.folder)):
                    self._items.setdefault(os.path.normpath(os.path.join(folder, item["image"])), item)  # noqa: PTH118

    def item(self, path: str) -> dict[str, Any]:
        """The item of an image as the datalist has it; one with the relative path alone for an image of another."""
        found = self._items.get(os.path.normpath(path)) or self._items.get(os.path.realpath(path))
        return found or {"image": Path(os.path.relpath(path, self.folder)).as_posix()}


def relative_names(paths: Sequence[str]) -> list[str]:
    """Absolute paths relative to the folder that they have in common; relative ones as they are."""
    if not any(Path(path).is_absolute() for path in paths):
        return [Path(path).as_posix() for path in paths]
    folder = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])  # noqa: PTH100, PTH120
    return [Path(os.path.relpath(path, folder)).as_posix() for path in paths]


class MaskNames:
    """One readable file name a case: its stem, with the number of a slice; no two alike."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def name(self, image: str) -> str:
        """The name of an image's mask, with its suffix ".png"."""
        source, number = split_fragment(image)
        end = "" if number is None else f"_{number}"
        plain = (f"{stem_of(source)}{end}", f"{Path(source).name}{end}")  # a.png and a.jpg
        name, count = plain[0], 1
        # Some file systems do not tell A from a.
        while name.casefold() in self._given:
            name = plain[1] if count == 1 else f"{plain[0]}_{count}"
            count += 1
        self._given.add(name.casefold())
        return f"{name}.png"
