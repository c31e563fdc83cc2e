"""Parts of a file that a path may name.

A slice of a volume is named by the volume's file and its number from 0: `ct.nii.gz#slice=12`. What a DICOM segmentation
says of one image is named by the image's SOPInstanceUID, with the frame from 1 where that image has several:
`seg.dcm#instance=1.2.840.1` or `seg.dcm#instance=1.2.840.1:7`. A mask that was drawn on the pixels of an image as they
are stored is named with the axes by which that image is shown: `mask.png#axes=-x-y+z`, `mask.nii#axes=-x-y+z#slice=12`.
"""

from __future__ import annotations

import os
import re

__all__ = ["AXES", "FRAGMENT", "INSTANCE", "axes_of", "fragment_of", "split_fragment", "split_instance"]

FRAGMENT = "#slice="
INSTANCE = "#instance="
AXES = "#axes="
FRAGMENTS = re.compile(
    rf"(?=#)(?:{AXES}(?P<axes>(?:[+-][xyz]){{3}}))?"
    rf"(?:{FRAGMENT}(?P<slice>\d+)|{INSTANCE}(?P<instance>[0-9.]+)(?::(?P<frame>\d+))?)?$"
)


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


def axes_of(path: str | os.PathLike[str]) -> str:
    """The axes by which a path of `#axes=AXES` is to be shown, as `SourceGrid.shown_by` takes them, or ""."""
    text = os.fspath(path)
    found = FRAGMENTS.search(text) if AXES in text else None
    return (found["axes"] or "") if found is not None and found.start() else ""


def fragment_of(path: str | os.PathLike[str]) -> str:
    """The fragment with its mark, or ""."""
    return os.fspath(path)[len(split_fragment(path)[0]) :]
