"""The files that a DICOMDIR lists, as CDs and exports of archives bring them.

References: DICOM PS3.3, F (Basic Directory); PS3.10, 8.2 (file names in upper case).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom

from pipeline.errors import UnreadableImage
from pipeline.readers.faults import library_errors

__all__ = ["files_listed"]


def files_listed(path: str) -> list[str]:
    """The images of a DICOMDIR, in its order, whether they are there or not.

    Args:
        path: The DICOMDIR; its file names are relative to its folder.
    Raises: UnreadableImage: if it is no DICOMDIR.
    """
    with library_errors(path, "DICOMDIR"):
        ds: Any = pydicom.dcmread(path, force=True)
        records = ds.get("DirectoryRecordSequence")
        if records is None:
            raise UnreadableImage(f"{path}: not a DICOMDIR, though it is called so. Name the images or their folder.")
        found = [_parts(record) for record in records if str(record.get("DirectoryRecordType")) == "IMAGE"]
    return [_as_written(Path(path).parent, parts) for parts in found if parts]


def _parts(record: Any) -> list[str]:
    value = record.get("ReferencedFileID")
    parts = [value] if isinstance(value, str) else [str(part) for part in value or ()]
    # A record must not lead out of its folder.
    return [] if any(part in ("", ".", "..") or "/" in part or "\\" in part for part in parts) else parts


def _as_written(folder: Path, parts: list[str]) -> str:
    """The path, in lower case where a copy of the medium was written so."""
    path = folder.joinpath(*parts)
    lower = folder.joinpath(*(part.lower() for part in parts))
    return str(lower if not path.exists() and lower.exists() else path)
