"""What ITK does not tell of the header of an NRRD: whether it gives the size of a pixel, and where the data lie.

References: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import re
from itertools import islice
from math import isfinite
from pathlib import Path

from pipeline.readers.data_files import are_several, require_beside
from pipeline.readers.lengths import Lengths, lengths_in

__all__ = ["check_nrrd", "nrrd_data_file", "nrrd_lengths"]

MOST_LINES = 10000
LONGEST_LINE = 2**16


def check_nrrd(path: str) -> None:
    """Raise UnreadableImage if the header names a data file that is not there."""
    name = nrrd_data_file(path)
    if name is not None and not are_several(name):
        require_beside(path, name)


def nrrd_lengths(path: str) -> Lengths:
    """Whether the header gives the size of a pixel along each of its axes, and in which unit.

    Raises: UnsupportedImage: if the units are several.
    """
    header = _header(path)
    if "space directions" in header:
        # One vector an axis of the array; "none" for channels. The units are those of the space's axes.
        vectors = re.findall(r"none|\([^)]*\)", header["space directions"], re.IGNORECASE)
        known = tuple(_finite(vector.strip("()").split(",")) for vector in vectors)
        return lengths_in(path, known, tuple(_quoted(header.get("space units", ""))))
    known = tuple(_finite([value]) for value in header.get("spacings", "").split())
    units = _quoted(header.get("units", ""))
    return lengths_in(path, known, tuple(unit for one, unit in zip(known, units, strict=False) if one))


def nrrd_data_file(path: str) -> str | None:
    """What the header says of a file that the data lie in ("LIST" and patterns are several); None if it is the same."""
    header = _header(path)
    return header.get("data file", header.get("datafile"))


def _header(path: str) -> dict[str, str]:
    """Fields, their names in lower case. An empty line ends them."""
    fields: dict[str, str] = {}
    with Path(path).open("rb") as file:
        for raw in islice(iter(lambda: file.readline(LONGEST_LINE), b""), MOST_LINES):
            line = raw.decode("utf-8", errors="replace").rstrip("\r\n")
            if not line:
                break
            name, mark, value = line.partition(":")
            if mark and not line.startswith("#") and not value.startswith("="):  # a comment; a key of somebody's own
                fields[name.strip().lower()] = value.strip()
    return fields


def _finite(values: list[str]) -> bool:
    """Whether these are numbers: where nothing is known, "nan" or "none" stand in their place."""
    try:
        return all(isfinite(float(value)) for value in values)
    except ValueError:
        return False


def _quoted(text: str) -> list[str]:
    return re.findall(r'"([^"]*)"', text)
