"""Whether all files of a set are there."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import DownloadFailed

__all__ = ["count_files", "places"]


def places(text: str, folders: Mapping[str, Path]) -> str:
    """A glob of the catalogue on this machine: `{files}/**/*.png` with the folder in place of its name.

    Args:
        text: The glob.
        folders: Folder by name.
    """
    for name, folder in folders.items():
        text = text.replace(f"{{{name}}}", glob.escape(str(folder)))
    return text


def count_files(
    name: str, counts: Mapping[str, int], folders: Mapping[str, Path], *, any_number: bool = False
) -> list[str]:
    """Count the files of a set.

    Args:
        name: Of the set.
        counts: Expected number by glob.
        folders: Folder by its name in the globs.
        any_number: Tell of other numbers, in place of an error.
    Returns: A line for each number that is another than expected.
    Raises: DownloadFailed: if one is.
    """
    told = []
    for pattern, expected in counts.items():
        found = sum(Path(path).is_file() for path in glob.glob(places(pattern, folders), recursive=True))  # noqa: PTH207
        if found != expected:
            # The folders are named at the end; what the globs call them is the catalogue's.
            told.append(f"{found} files match {pattern.partition('}/')[2] or pattern}, expected {expected}")
    if told and not any_number:
        raise DownloadFailed(
            f"{name}: {'; '.join(told)}. The set is not whole, or its publisher has changed it: look into "
            f"{', '.join(map(str, folders.values()))}, and give --as-it-is to go on with what is there."
        )
    return told
