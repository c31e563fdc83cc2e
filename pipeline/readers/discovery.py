"""Find the pictures that a user means by files, folders and globs."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import MissingFile
from pipeline.fragments import split_fragment
from pipeline.readers.container import SUFFIXES, is_dicom, suffix_of

__all__ = ["find_pictures", "natural_order"]


def find_pictures(inputs: Iterable[str | os.PathLike[str]], *, recursive: bool = True) -> list[str]:
    """The picture files among what a user named.

    In folders and globs a picture is known by its suffix, and a file without a known suffix by the DICOM magic number.
    Hidden files and folders and DICOMDIR are left out. A file named outright is taken whatever it is, so that reading
    it says what is wrong with it.

    Args:
        inputs: Files (a fragment `#slice=K` stays on), folders, and globs (`**` for any depth).
        recursive: Look into folders within folders.
    Returns: Paths, each once; the inputs in their order, what each stands for in natural order (2 before 10).
    Raises: MissingFile: if an input is not there or holds no picture.
    """
    found: dict[str, str] = {}
    for entry in (os.fspath(given) for given in inputs):
        name, number = split_fragment(entry)
        path = Path(name)
        if path.is_dir() and number is None:
            files = _in_folder(path, recursive)
            missing = f"{entry}: no pictures in this folder."
        elif path.exists():
            files, missing = [entry], ""
        elif glob.has_magic(entry):
            matches = (Path(match) for match in glob.glob(entry, recursive=True))  # noqa: PTH207  (absolute patterns)
            files = [str(match) for match in matches if match.is_file() and _is_picture(match)]
            missing = f"{entry}: no picture matches."
        else:
            files, missing = [], f"{entry}: no such file or folder."
        if not files:
            raise MissingFile(missing)
        for file in sorted(files, key=natural_order):
            # Under one key whichever way it is written: a.png, ./a.png and its absolute path are one picture.
            found.setdefault(os.path.abspath(file), file)  # noqa: PTH100
    return list(found.values())


def natural_order(path: str) -> list[str | int]:
    """Sort key that puts `image_2` before `image_10`."""
    return [int(part) if part.isdecimal() else part.lower() for part in re.split(r"(\d+)", path)]


def _in_folder(folder: Path, recursive: bool) -> list[str]:
    files: list[str] = []
    for root, folders, names in os.walk(folder, onerror=_unreadable_folder):
        folders[:] = [name for name in folders if recursive and not name.startswith((".", "__MACOSX"))]
        files.extend(str(path) for path in (Path(root, name) for name in names) if _is_picture(path))
    return files


def _unreadable_folder(error: OSError) -> None:
    # Without this, os.walk passes over a folder that it may not open, and nobody learns of its pictures.
    raise error


def _is_picture(path: Path) -> bool:
    if path.name.startswith(".") or path.name == "DICOMDIR":
        return False
    return suffix_of(path) in SUFFIXES or is_dicom(str(path))
