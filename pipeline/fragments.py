"""Parts of a file that a path may name.

A slice of a volume is named by the volume's file and its number from 0: `ct.nii.gz#slice=12`. What a DICOM segmentation
says of one image is named by the image's SOPInstanceUID, with the frame from 1 where that image has several:
`seg.dcm#instance=1.2.840.1` or `seg.dcm#instance=1.2.840.1:7`.
"""

from __future__ import annotations

import os
import re

__all__ = ["FRAGMENT", "INSTANCE", "fragment_of", "split_fragment", "split_instance"]

FRAGMENT = "#slice="
INSTANCE = "#instance="
FRAGMENTS = re.compile(rf"(?:{FRAGMENT}(?P<slice>\d+)|{INSTANCE}(?P<instance>[0-9.]+)(?::(?P<frame>\d+))?)$")


def split_fragment(path: str | os.PathLike[str]) -> tuple[str, int | None]:
    """The file, without any fragment, and the slice number of a path that ends in `#slice=K`."""
    text = os.fspath(path)
    found = FRAGMENTS.search(text) if "#" in text else None
    if found is None or not found.start():
        return text, None
    return text[: found.start()], int(found["slice"]) if found["slice"] else None


def split_instance(path: str | os.PathLike[str]) -> tuple[str, tuple[str, int] | None]:
    """The file, without any fragment, and SOPInstanceUID and frame (0: the whole) of `#instance=UID[:FRAME]`."""
    text = os.fspath(path)
    found = FRAGMENTS.search(text) if INSTANCE in text else None
    if found is None or not found.start() or not found["instance"]:
        return split_fragment(text)[0], None
    return text[: found.start()], (found["instance"], int(found["frame"] or 0))


def fragment_of(path: str | os.PathLike[str]) -> str:
    """The fragment with its mark, or ""."""
    return os.fspath(path)[len(split_fragment(path)[0]) :]
