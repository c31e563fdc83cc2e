"""Which container a file is: by its first bytes, because names lie."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

from pipeline.archives import is_folder, open_binary
from pipeline.errors import MissingFile, PlanarError, UnreadableImage, UnsupportedImage
from pipeline.fragments import split_fragment

__all__ = ["SUFFIXES", "container_of", "is_cut_short", "is_dicom", "stem_of", "suffix_of"]

# Suffix → container. DICOM files often have none.
SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".dcm": "DICOM",
    ".dicom": "DICOM",
    ".nii": "NIfTI",
    ".nii.gz": "NIfTI",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
    ".nrrd": "NRRD",
    ".nhdr": "NRRD",
}

MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"NRRD", "NRRD"),
)
DICOM_MAGIC_AT = 128
# The groups that a DICOM file without a preamble begins with (file meta information, identification), little-endian,
# and how long its first value may be: none of the first elements is longer. In big-endian order all have value types.
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
FIRST_GROUP_BIG_ENDIAN = b"\x00\x08\x00"
LONGEST_FIRST_VALUE = 1024
NIFTI_MAGIC = ((344, b"n+1\0"), (4, b"n+2\0"))
HEADER_BYTES = 352

# What lies beside pictures and need not be opened to know.
NO_PICTURES = frozenset(
    {".csv", ".gz", ".json", ".md", ".npy", ".npz", ".pt", ".raw", ".txt", ".xml", ".yaml", ".zip", ".zraw"}
)


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix in lower case, ".nii.gz" in one piece, without a fragment."""
    name = Path(split_fragment(path)[0]).name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def stem_of(path: str | os.PathLike[str]) -> str:
    """The file's name without folder, fragment and suffix; a UID's last number is no suffix and stays."""
    name, suffix = Path(split_fragment(path)[0]).name, suffix_of(path)
    return name[: -len(suffix)] if suffix in SUFFIXES and len(name) > len(suffix) else name


def container_of(path: str) -> str:
    """The container of a file or folder: a value of `SUFFIXES`, or "series" for a folder or archive.

    Raises:
        MissingFile: if nothing is there.
        UnreadableImage: if it is empty, or its content is not what its suffix says.
        UnsupportedImage: if neither content nor suffix are known.
    """
    if is_folder(path):
        return "series"
    try:
        with open_binary(path) as file:
            start = file.read(HEADER_BYTES)
    except FileNotFoundError:
        raise MissingFile(f"{path}: no such file.") from None
    suffix = suffix_of(path)
    if not start:
        raise UnreadableImage(f"{path}: the file is empty. Copy or export it again.")
    container = _by_magic(path, start)
    if container is not None:
        return container
    expected = SUFFIXES.get(suffix)
    # A MetaImage header is text without a magic number; a DICOM file may lack its preamble.
    if expected == "MetaImage" and b"NDims" in start:
        return expected
    if expected == "DICOM" and ((len(start) > 8 and start[1] == 0) or _begins_as_dicom(start)):
        return expected
    if expected is None and _is_nameless(suffix) and _begins_as_dicom(start):
        return "DICOM"
    if expected is not None:
        raise UnreadableImage(f"{path}: not a {expected} file: its first bytes are {start[:12]!r}. Export it again.")
    raise UnsupportedImage(
        f"{path}: not a known picture format. Planar reads DICOM, NIfTI, MHA, NRRD, PNG, JPEG, TIFF, BMP, GIF."
    )


def is_dicom(path: str) -> bool:
    """Whether a file is DICOM: by its suffix, or by its magic number where the suffix says nothing.

    Some archives write files without a preamble, and so without the number. Those are known by their first element, if
    they have no suffix.
    """
    container = SUFFIXES.get(suffix_of(path))
    if container is not None:
        return container == "DICOM"
    if suffix_of(path) in NO_PICTURES:
        return False
    try:
        with open_binary(path) as file:
            start = file.read(DICOM_MAGIC_AT + 4)
    except (OSError, PlanarError):
        return False
    return start[DICOM_MAGIC_AT:] == b"DICM" or (_is_nameless(suffix_of(path)) and _begins_as_dicom(start))


def is_cut_short(path: str) -> bool:
    """Whether a file whose name says nothing ends before DICOM's magic number, or cannot be opened: nobody can tell."""
    if not _is_nameless(suffix_of(path)):
        return False
    try:
        with open_binary(path) as file:
            start = file.read(DICOM_MAGIC_AT + 4)
    except (OSError, PlanarError):
        return True
    # A short text is no part of a DICOM file, whose preamble is zeros or the header of a TIFF.
    return len(start) < DICOM_MAGIC_AT + 4 and (not start or b"\0" in start)


def _is_nameless(suffix: str) -> bool:
    """Whether a name has no suffix; the last number of a UID is none."""
    return not suffix or suffix[1:].isdecimal()


def _begins_as_dicom(start: bytes) -> bool:
    """Whether a file's first bytes are a DICOM element of the first groups, with a value type or a likely length."""
    typed = start[4:6].isalpha() and start[4:6].isupper()
    if len(start) >= DICOM_MAGIC_AT and typed and start.startswith(FIRST_GROUP_BIG_ENDIAN):
        return True
    if len(start) < DICOM_MAGIC_AT or start[:2] not in FIRST_GROUPS or start[3] > 1:
        return False
    if typed:
        return True
    length = int.from_bytes(start[4:8], "little")
    return length % 2 == 0 and length <= LONGEST_FIRST_VALUE


def _by_magic(path: str, start: bytes) -> str | None:
    # DICOM first: its preamble may hold a TIFF header, for software that reads either.
    if start[DICOM_MAGIC_AT : DICOM_MAGIC_AT + 4] == b"DICM":
        return "DICOM"
    for magic, container in MAGIC:
        if start.startswith(magic):
            return container
    if start.startswith(b"\x1f\x8b"):
        try:
            with open_binary(path) as packed, gzip.open(packed) as file:
                start = file.read(HEADER_BYTES)
        except (OSError, EOFError, zlib.error):
            raise UnreadableImage(f"{path}: the gzip file is damaged or cut short. Copy it again.") from None
    for offset, magic in NIFTI_MAGIC:
        if start[offset : offset + 4] == magic:
            return "NIfTI"
    return None
