"""What compressed pixel data say of themselves: enough to refuse damaged ones before a decoder meets them.

A decoder that trusts a damaged header takes gigabytes of memory, and libjpeg fills up what is missing of a stream with
grey and says nothing.

References: DICOM PS3.5, A.4 (encapsulation) and G (RLE); ITU-T T.81, B.2 (JPEG); T.87, C (JPEG-LS);
T.800, A (JPEG 2000).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.readers.functional_groups import number_of_frames

__all__ = ["FrameHeader", "check_frames", "fragments_of", "frame_header", "frames_begun", "with_whole_scans"]

RLE_LOSSLESS = "1.2.840.10008.1.2.5"
# JPEG processes and JPEG-LS; JPEG 2000 ends with the same marker, but its decoder notices a missing end.
JPEG_PREFIX = "1.2.840.10008.1.2.4."
JPEG_NUMBERS = range(50, 82)

ITEM = struct.Struct("<HHI")
ITEM_TAG = (0xFFFE, 0xE000)
START_OF_IMAGE, END_OF_IMAGE, START_OF_SCAN = 0xD8, b"\xff\xd9", 0xDA
# Start of frame, whatever the process; C4, C8 and CC in between are tables, F7 is JPEG-LS.
STARTS_OF_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
SEQUENTIAL_FRAMES = frozenset({0xC0, 0xC1})
WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
J2K_START = b"\xff\x4f\xff\x51"
J2K_SIZE = struct.Struct(">HH8IHB")
# Boxes of a JP2 file, which some writers leave around the codestream, are shorter than this.
JP2_BOXES = 1024
LONGEST_PADDING = 64
# Two bytes of RLE stand for at most 128.
RLE_EXPANSION = 64


@dataclass(frozen=True)
class FrameHeader:
    """Size of a frame by its own codestream; rows are 0 where they follow the scan."""

    columns: int
    rows: int
    samples: int
    bits: int


def fragments_of(data: bytes | bytearray) -> list[memoryview]:
    """The fragments of encapsulated pixel data, without the offset table.

    Raises: ValueError: if the last one is cut short.
    """
    view, at, found = memoryview(data), 0, []
    while at + ITEM.size <= len(view):
        group, element, length = ITEM.unpack_from(view, at)
        if (group, element) != ITEM_TAG:
            break
        at += ITEM.size
        if at + length > len(view):
            raise ValueError("the last frame is cut short")
        found.append(view[at : at + length])
        at += length
    return found[1:]


def frames_begun(fragments: list[memoryview]) -> int:
    """How many fragments begin a JPEG, JPEG-LS or JPEG 2000 stream."""
    return sum(bytes(fragment[:2]) in (b"\xff\xd8", b"\xff\x4f") for fragment in fragments)


def frame_header(stream: memoryview) -> FrameHeader | None:
    """What a JPEG, JPEG-LS or JPEG 2000 stream says of its frame; None if it is none of them, or damaged."""
    if bytes(stream[:2]) == b"\xff\xd8":
        return _jpeg_header(stream)
    at = bytes(stream[:JP2_BOXES]).find(J2K_START)
    if at < 0 or len(stream) < at + 4 + J2K_SIZE.size:
        return None
    _, _, right, bottom, left, top, *_, samples, bits = J2K_SIZE.unpack_from(stream, at + 4)
    return FrameHeader(right - left, bottom - top, samples, (bits & 0x7F) + 1)


def with_whole_scans(data: bytes) -> bytes | None:
    """Encapsulated sequential JPEG whose scans claim to hold no more than the mean of each block, mended.

    Some old writers left the end of the spectral selection at 0 where a sequential scan has 63. Decoders that ignore
    the field read such streams, libjpeg refuses them.

    Returns: The same pixel data with these bytes corrected, or None if there is nothing to correct.
    """
    mended = bytearray(data)
    for fragment in fragments_of(mended):
        sequential = False
        for marker, at in _jpeg_segments(fragment):
            sequential |= marker in SEQUENTIAL_FRAMES
            if marker == START_OF_SCAN and sequential:
                spectral = at + 5 + 2 * fragment[at + 4]
                if bytes(fragment[spectral : spectral + 2]) == b"\0\0":
                    fragment[spectral + 1] = 63
    return bytes(mended) if mended != data else None


def _jpeg_header(stream: memoryview) -> FrameHeader | None:
    for marker, at in _jpeg_segments(stream):
        if marker in STARTS_OF_FRAME:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", stream, at + 4)
            return FrameHeader(columns, rows, samples, bits)
    return None


def _jpeg_segments(stream: memoryview) -> Iterator[tuple[int, int]]:
    """Marker and place of each segment of a JPEG stream, up to its first scan."""
    at = 2
    while at + 10 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in WITHOUT_LENGTH:
            at += 2
        else:
            yield marker, at
            if marker == START_OF_SCAN:
                return
            at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")


def check_frames(ds: Any, syntax: str) -> None:
    """Compare encapsulated pixel data with the data set's own account of them.

    Args:
        ds: The data set, with Rows, Columns, SamplesPerPixel and BitsAllocated.
        syntax: Its transfer syntax.
    Raises: ValueError: if frames are missing, cut short, or of another size.
    """
    frames = number_of_frames(ds)
    fragments = fragments_of(ds.PixelData)
    if len(fragments) < frames:
        raise ValueError(f"it holds {len(fragments)} of {frames} frames")
    samples = int(ds.get("SamplesPerPixel") or 1)
    if syntax == RLE_LOSSLESS:
        whole = int(ds.Rows) * int(ds.Columns) * samples * frames * max(1, int(ds.get("BitsAllocated") or 8) // 8)
        if sum(map(len, fragments)) * RLE_EXPANSION < whole:
            raise ValueError("there are fewer pixels than Rows and Columns say")
        return
    for fragment in fragments:
        header = frame_header(fragment)
        if header is None:
            continue
        found = (header.columns, header.rows or int(ds.Rows), header.samples)
        expected = (int(ds.Columns), int(ds.Rows), samples)
        if found != expected:
            sizes = ("×".join(map(str, size)) for size in (found, expected))
            raise ValueError("a frame is {}, the header says {}".format(*sizes))
    if _is_jpeg(syntax) and END_OF_IMAGE not in bytes(fragments[-1][-LONGEST_PADDING:]):
        raise ValueError("the last frame has no end")


def _is_jpeg(syntax: str) -> bool:
    number = syntax.removeprefix(JPEG_PREFIX)
    return number.isdecimal() and int(number) in JPEG_NUMBERS
