"""Whether a MetaImage file is whole, found out before ITK reads it: ITK would print its complaint past Python."""

from __future__ import annotations

from math import prod
from pathlib import Path

from pipeline.errors import UnreadableImage

__all__ = ["check_metaimage"]

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
    with Path(path).open("rb") as file:
        header, end = _header(file.read(LONGEST_HEADER))
    for key in ("DimSize", "ElementType", "ElementDataFile"):
        if key not in header:
            raise UnreadableImage(
                f"{path}: the MetaImage header is cut short: it has no {key}. Copy or export it again."
            )
    name = header["ElementDataFile"]
    if name.upper().startswith("LIST") or "%" in name or header.get("BinaryData", "True") == "False":
        return
    data = Path(path) if name.upper() == "LOCAL" else Path(path).parent / name
    if not data.is_file():
        raise UnreadableImage(f"{path}: its data file {name} is not beside it. Copy both.")
    present = data.stat().st_size - (end if name.upper() == "LOCAL" else 0)
    expected = _expected_bytes(header)
    if present < expected:
        raise UnreadableImage(f"{path}: the file is cut short: {present} of {expected} bytes. Copy or export it again.")


def _header(start: bytes) -> tuple[dict[str, str], int]:
    """Keys and values, and where the data begin: behind ElementDataFile, which is always the last."""
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
