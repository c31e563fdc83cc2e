"""What is to be known of a MetaImage before ITK reads it: whether it is whole, and what it says of lengths.

ITK would print its complaint past Python, and takes 1 mm for the size of a pixel where the header gives none.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

from pipeline.errors import UnreadableImage
from pipeline.readers.data_files import are_several, require_beside
from pipeline.readers.lengths import NOTHING_SAID, Lengths, lengths_in

__all__ = ["check_metaimage", "metaimage_data_file", "metaimage_lengths"]

ELEMENT_BYTES = {
    "MET_CHAR": 1,
    "MET_UCHAR": 1,
    "MET_SHORT": 2,
    "MET_USHORT": 2,
    "MET_INT": 4,
    "MET_UINT": 4,
    "MET_LONG_LONG": 8,
    "MET_ULONG_LONG": 8,
    "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}
LONGEST_HEADER = 2**16


def check_metaimage(path: str) -> None:
    """Look whether the header is complete and the data file holds as many bytes as it promises.

    Raises: UnreadableImage: if not.
    References: MetaIO documentation, https://itk.org/Wiki/ITK/MetaIO/Documentation
    """
    header, end = _header(path)
    for key in ("DimSize", "ElementType", "ElementDataFile"):
        if key not in header:
            raise UnreadableImage(
                f"{path}: the MetaImage header is cut short: it has no {key}. Copy or export it again."
            )
    name = header["ElementDataFile"]
    if are_several(name) or header.get("BinaryData", "True") == "False":
        return
    data = Path(path) if name.upper() == "LOCAL" else require_beside(path, name)
    present = data.stat().st_size - (end if name.upper() == "LOCAL" else 0)
    expected = _expected_bytes(header)
    if present < expected:
        raise UnreadableImage(f"{path}: the file is cut short: {present} of {expected} bytes. Copy or export it again.")


def metaimage_data_file(path: str) -> str | None:
    """What the header says of a file that the data lie in ("LIST" and patterns are several); None if it is the same."""
    name = _header(path)[0].get("ElementDataFile", "LOCAL")
    return None if name.upper() == "LOCAL" else name


def metaimage_lengths(path: str) -> Lengths:
    """Whether the header gives the size of a pixel, and in which unit."""
    header, _ = _header(path)
    sizes = header.get("ElementSpacing", header.get("ElementSize", "")).split()
    if not sizes:
        return NOTHING_SAID
    return lengths_in(path, (True,) * len(sizes), (header.get("DistanceUnits", ""),))


def _header(path: str) -> tuple[dict[str, str], int]:
    """Keys and values, and where the data begin: behind ElementDataFile, which is always the last."""
    with Path(path).open("rb") as file:
        start = file.read(LONGEST_HEADER)
    header: dict[str, str] = {}
    end = 0
    for line in start.splitlines(keepends=True):
        end += len(line)
        key, mark, value = line.decode("latin-1").partition("=")
        if mark:
            header[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            break
    return header, end


def _expected_bytes(header: dict[str, str]) -> int:
    """Bytes of the data, 0 where the header does not tell."""
    if header.get("CompressedData", "False") == "True":
        return int(header.get("CompressedDataSize", 0))
    values = prod(int(size) for size in header["DimSize"].split()) * int(header.get("ElementNumberOfChannels", 1))
    return values * ELEMENT_BYTES.get(header["ElementType"], 0)
