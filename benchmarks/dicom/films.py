"""The phantom's films in as many transfer syntaxes as can be written here."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pydicom
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

from pipeline.tasks.phantom import make_phantoms

__all__ = ["make_films"]

BY_PYDICOM = {"RLE": RLELossless, "JPEG 2000": JPEG2000Lossless, "JPEG-LS": JPEGLSLossless}
# By DCMTK, where pydicom has no encoder.
BY_DCMTK = {"JPEG lossless": ["dcmcjpeg", "+un"], "JPEG-LS": ["dcmcjpls", "+un"], "RLE": ["dcmcrle", "+un"]}


def make_films(folder: Path, number: int, size: int, workers: int = 1) -> dict[str, list[Path]]:
    """Make films and compress them in turns.

    Args:
        folder: New.
        number: Of films.
        size: Pixels along the longer side.
        workers: Processes that draw.
    Returns: Files by the name of their transfer syntax.
    """
    make_phantoms(folder, number=number, size=size, format="dicom", workers=workers)
    ways = _ways()
    made: dict[str, list[Path]] = {name: [] for name in ways}
    for turn, path in enumerate(sorted((folder / "dicom").glob("*.dcm"))):
        name = list(ways)[turn % len(ways)]
        ways[name](path)
        made[name].append(path)
    return made


def _ways() -> dict[str, Callable[[Path], None]]:
    ways: dict[str, Callable[[Path], None]] = {"uncompressed": lambda path: None}
    for name, syntax in BY_PYDICOM.items():
        if _can_encode(syntax):
            ways[name] = lambda path, syntax=syntax: _by_pydicom(path, syntax)
    for name, command in BY_DCMTK.items():
        if name not in ways and shutil.which(command[0]):
            ways[name] = lambda path, command=command: _by_dcmtk(path, command)
    return ways


def _can_encode(syntax: UID) -> bool:
    from pydicom.pixels import get_encoder

    return bool(get_encoder(syntax).is_available)


def _by_pydicom(path: Path, syntax: UID) -> None:
    ds = pydicom.dcmread(path)
    ds.compress(syntax, generate_instance_uid=False)
    ds.save_as(path)


def _by_dcmtk(path: Path, command: list[str]) -> None:
    aside = path.with_suffix(".aside")
    subprocess.run([*command, str(path), str(aside)], check=True, capture_output=True)
    aside.replace(path)
