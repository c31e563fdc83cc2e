"""DICOM data sets that are compressed as a whole, which pydicom expands at once however large they become."""

from __future__ import annotations

import re
import zlib
from typing import IO

from pipeline.errors import UnreadableImage
from pipeline.readers.room import require_room

__all__ = ["require_room_if_deflated"]

# The element Transfer Syntax UID: Deflated Explicit VR Little Endian.
SYNTAX = re.compile(rb"\x02\0\x10\0UI..1\.2\.840\.10008\.1\.2\.1\.99(?![.0-9])", re.DOTALL)
# Preamble and magic number, then the first element: the length of the rest of the file meta information, which follows.
LENGTH_AT, META_AT = 140, 144
GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
HEAD_BYTES = 2**12
CHUNK_BYTES = 2**20


def require_room_if_deflated(path: str, file: IO[bytes]) -> None:
    """Look how large a deflated data set becomes, without keeping it.

    Args:
        path: For messages.
        file: At its beginning.

    Raises:
        UnsupportedImage: if it is larger than the memory.
        UnreadableImage: if it is damaged.
    """
    head = file.read(HEAD_BYTES)
    if not SYNTAX.search(head):
        return
    if head[LENGTH_AT - len(GROUP_LENGTH) : LENGTH_AT] != GROUP_LENGTH:
        raise UnreadableImage(f"{path}: its file meta information is damaged. Export it again.")
    file.seek(META_AT + int.from_bytes(head[LENGTH_AT:META_AT], "little"))
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    size = 0
    try:
        while not stream.eof and (packed := stream.unconsumed_tail or file.read(CHUNK_BYTES)):
            size += len(stream.decompress(packed, CHUNK_BYTES))
            require_room(path, size)
    except zlib.error as error:
        raise UnreadableImage(f"{path}: the DICOM file is damaged ({error}). Copy or export it again.") from error
