"""The phantom's films in as many transfer syntaxes as can be written here."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pydicom
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from pipeline.tasks.phantom import make_phantoms

__all__ = ["make_films"]

# Written when all films of a folder are compressed.
WHOLE = "all-compressed"
NAMES = {
    ExplicitVRLittleEndian: "uncompressed",
    RLELossless: "RLE",
    JPEG2000Lossless: "JPEG 2000",
    JPEGLSLossless: "JPEG-LS",
    JPEGLosslessSV1: "JPEG lossless",
}
BY_PYDICOM = {"RLE": RLELossless, "JPEG 2000": JPEG2000Lossless, "JPEG-LS": JPEGLSLossless}
# By DCMTK, where pydicom has no encoder.
BY_DCMTK = {"JPEG lossless": ["dcmcjpeg", "+un"], "JPEG-LS": ["dcmcjpls", "+un"], "RLE": ["dcmcrle", "+un"]}


def make_films(folder: Path, number: int, size: int, workers: int = 1) -> dict[str, list[Path]]:
    """Make films and compress them in turns, or take those that an earlier call made there.

    Args:
        folder: Of the films.
        number: Of films.
        size: Pixels along the longer side.
        workers: Processes that draw.
    Returns: Files by the name of their transfer syntax.
    """
    if not (folder / WHOLE).is_file():
        make_phantoms(folder, number=number, size=size, format="dicom", workers=workers)
        ways = list(_ways().values())
        for turn, path in enumerate(sorted((folder / "dicom").glob("*.dcm"))):
            ways[turn % len(ways)](path)
        (folder / WHOLE).touch()
    made: dict[str, list[Path]] = {}
    for path in sorted((folder / "dicom").glob("*.dcm"))[:number]:
        syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
        made.setdefault(NAMES.get(syntax, str(syntax)), []).append(path)
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
