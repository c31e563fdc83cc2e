"""The files behind what the user named: folders, globs, files, and DICOM series as volumes."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.archives import is_archive
from pipeline.readers import find_pictures

__all__ = ["Source", "find_source", "series_as_volumes"]

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr")
FILM_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", *VOLUME_SUFFIXES)


@dataclass(frozen=True)
class Source:
    """The files of one folder, glob or name that the user gave.

    Args:
        given: What the user gave.
        root: The folder that names are taken relative to.
        files: The files found.
    """

    given: str
    root: str
    files: list[str]

    def name_of(self, file: str) -> str:
        """A file's path below the root, with forward slashes."""
        name = os.path.relpath(file, self.root).replace(os.sep, "/")
        return Path(file).absolute().name if name == "." else name


def find_source(given: str | os.PathLike[str]) -> Source:
    """The pictures of a folder, a glob or a single file.

    Raises: MissingFile: if there are none.
    """
    path = Path(given)
    root = path
    while (root.is_file() and not is_archive(root)) or glob.has_magic(str(root)):
        root = root.parent
    return Source(os.fspath(given), os.fspath(root), find_pictures([given]))


def series_as_volumes(images: Source, masks: Sequence[Source]) -> Source:
    """The images with each folder of a DICOM series as one volume, if the masks are volumes too.

    Slices whose masks are pictures of their own stay single.
    """
    volumes = any(file.lower().endswith(VOLUME_SUFFIXES) for source in masks for file in source.files)
    if not volumes or all(file.lower().endswith(FILM_SUFFIXES) for file in images.files):
        return images
    from pipeline.readers import DicomSeries, group_series

    found = group_series(images.files)
    folders = [entry.folder for entry in found if isinstance(entry, DicomSeries)]
    files = [
        # A folder can be read as one volume only if it holds no other; single files beside it (localisers) do not harm.
        [entry.folder]
        if isinstance(entry, DicomSeries) and folders.count(entry.folder) == 1
        else list(entry.files)
        if isinstance(entry, DicomSeries)
        else [entry]
        for entry in found
    ]
    return Source(images.given, images.root, [file for part in files for file in part])
