"""Lookup tables of DICOM: modality and VOI LUT items.

References: DICOM PS3.3, C.11.1.1 and C.11.2.1.1 (LUT Descriptor and LUT Data).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["is_big_endian", "look_up", "table_white"]

EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"


def look_up(item: Any, values: npt.NDArray[Any], ds: Any) -> npt.NDArray[Any]:
    """Values through a table; those before its first entry or after its last get that entry.

    Args:
        item: Item of a modality or VOI LUT sequence.
        values: What is looked up; fractions are rounded.
        ds: The data set that the item belongs to, for its byte order.
    Raises: ValueError: if the item holds no table.
    """
    count, first, bits = (int(v) for v in item.LUTDescriptor)
    count = count or 65536
    data = item.LUTData
    if isinstance(data, (bytes, bytearray)):
        is_bytes = bits <= 8 and len(data) <= count + 1
        table = np.frombuffer(data, np.uint8 if is_bytes else ">u2" if is_big_endian(ds) else "<u2")
        table = table.astype(table.dtype.newbyteorder("="))
    else:
        table = np.array(data, dtype=np.uint16).reshape(-1)
    if not table.size:
        raise ValueError("a lookup table without entries")
    if values.dtype.kind != "u" and first > 32767:
        first -= 65536  # the descriptor is unsigned where a guess of its VR went wrong
    whole = np.rint(values) if values.dtype.kind == "f" else values
    index = np.clip(whole.astype(np.int64) - first, 0, min(count, len(table)) - 1)
    return table[index]


def table_white(item: Any) -> int:
    """The largest value that a table's bits allow."""
    return max(1, 2 ** int(item.LUTDescriptor[2]) - 1)


def is_big_endian(ds: Any) -> bool:
    """Whether the data set is stored in big endian order, as its OW values then are."""
    return bool(getattr(ds, "file_meta", {}).get("TransferSyntaxUID") == EXPLICIT_BIG_ENDIAN)
