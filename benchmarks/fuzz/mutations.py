"""Ways in which a DICOM file may be damaged: by media, by transfer, by software that writes nonsense."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

__all__ = ["MUTATIONS", "mutate"]

# Elements of the Image Pixel module and its neighbours that say how much memory a picture takes, as explicit VR
# little endian: group, element, VR.
SIZES = [(0x0028, element, b"US") for element in (0x0002, 0x0010, 0x0011, 0x0100, 0x0101, 0x0102, 0x0103, 0x0006)]
HEADER_BYTES = 4096
NUMBERS = (0, 1, 2, 3, 7, 8, 12, 15, 16, 31, 32, 64, 255, 256, 4095, 32767, 32768, 65534, 65535)
TEXTS = (b"\\", b"-1", b"1e9999", b"NaN", b"inf", b"99999999999", b"\xff\xfe", b"%s%n", b"0\\0", b"'\"", b"\r\n")


def mutate(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    """Damage a file once to four times.

    Returns: What was done, and the damaged content.
    """
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        name = rng.choice(list(MUTATIONS))
        content = MUTATIONS[name](rng, content)
        done.append(name)
    return "+".join(done), content


def _place(rng: random.Random, content: bytes) -> int:
    """Half of the time in the header, where a few bytes matter most."""
    last = max(1, min(len(content), HEADER_BYTES if rng.random() < 0.5 else len(content)))
    return rng.randrange(last)


def flip_bits(rng: random.Random, content: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 4, 32, 256))):
        if damaged:
            damaged[_place(rng, content)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def overwrite(rng: random.Random, content: bytes) -> bytes:
    at, length = _place(rng, content), rng.choice((1, 2, 4, 16, 512))
    value = rng.choice((b"\0", b"\xff", None))
    return content[:at] + (value * length if value else rng.randbytes(length)) + content[at + length :]


def cut_off(rng: random.Random, content: bytes) -> bytes:
    return content[: _place(rng, content)]


def remove(rng: random.Random, content: bytes) -> bytes:
    at = _place(rng, content)
    return content[:at] + content[at + rng.choice((1, 2, 8, 100, 5000)) :]


def repeat(rng: random.Random, content: bytes) -> bytes:
    at, length = _place(rng, content), rng.choice((8, 100, 5000))
    return content[: at + length] + content[at : at + length] * rng.choice((1, 3, 50)) + content[at + length :]


def insert(rng: random.Random, content: bytes) -> bytes:
    at = _place(rng, content)
    return content[:at] + rng.choice((rng.randbytes(rng.choice((1, 8, 300))), *TEXTS)) + content[at:]


def change_a_number(rng: random.Random, content: bytes) -> bytes:
    """Another value for Rows, Columns, BitsAllocated and the like."""
    group, element, vr = rng.choice(SIZES)
    at = content.find(struct.pack("<HH2sH", group, element, vr, 2))
    if at < 0:
        return overwrite(rng, content)
    return content[: at + 8] + struct.pack("<H", rng.choice(NUMBERS)) + content[at + 10 :]


def change_a_length(rng: random.Random, content: bytes) -> bytes:
    """Another length of an element of the header."""
    starts = [at for at in range(132, min(len(content) - 8, HEADER_BYTES)) if content[at + 4 : at + 6].isupper()]
    if not starts:
        return overwrite(rng, content)
    at = rng.choice(starts) + 6
    length = rng.choice((b"\0\0", b"\xff\xff", b"\xfe\xff", struct.pack("<H", rng.randrange(65536))))
    return content[:at] + length + content[at + 2 :]


def change_a_text(rng: random.Random, content: bytes) -> bytes:
    """Nonsense in a decimal or integer string, as NumberOfFrames or PixelSpacing are."""
    found = [at for at in range(132, min(len(content), 20 * HEADER_BYTES)) if content[at : at + 2] in (b"IS", b"DS")]
    if not found:
        return insert(rng, content)
    at = rng.choice(found)
    length = int.from_bytes(content[at + 2 : at + 4], "little")
    return content[: at + 4] + rng.choice(TEXTS)[:length].ljust(length, b"9") + content[at + 4 + length :]


def change_the_syntax(rng: random.Random, content: bytes) -> bytes:
    """Another transfer syntax than the pixels have."""
    at = content.find(b"1.2.840.10008.1.2", 132)
    if at < 0:
        return overwrite(rng, content)
    end = rng.choice((b"", b".1", b".2", b".1.99", b".5", *(f".4.{n}".encode() for n in (50, 51, 57, 70, 80, 90, 201))))
    old = int.from_bytes(content[at - 2 : at], "little")
    return content[:at] + (b"1.2.840.10008.1.2" + end).ljust(old, b"\0")[:old] + content[at + old :]


def nest(rng: random.Random, content: bytes) -> bytes:
    """Sequences within sequences, as deep as a stack."""
    at = content.find(struct.pack("<HH", 0x0028, 0x0002))
    at = at if at > 0 else _place(rng, content)
    opened = struct.pack("<HH2s2xI", 0x0008, 0x1140, b"SQ", 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    return content[:at] + opened * rng.choice((3, 200, 5000)) + content[at:]


MUTATIONS: dict[str, Callable[[random.Random, bytes], bytes]] = {
    function.__name__: function
    for function in (
        flip_bits,
        overwrite,
        cut_off,
        remove,
        repeat,
        insert,
        change_a_number,
        change_a_length,
        change_a_text,
        change_the_syntax,
        nest,
    )
}
