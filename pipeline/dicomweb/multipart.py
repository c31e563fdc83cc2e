"""The parts of a multipart answer, one after the other onto the disk.

dicomweb-client holds an answer in memory as a whole and takes one that breaks off for complete; an Enhanced CT has
hundreds of megabytes. So the parts are cut here, and an answer without its end is told.

References: RFC 2046, 5.1.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from email.message import Message
from pathlib import Path

from pipeline.dicomweb.faults import CutShortError

__all__ = ["boundary_of", "parts_to_disk"]

LONGEST_HEADER = 1 << 16


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a multipart answer; None if it is another kind of answer."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    return boundary.encode() if header.get_content_maintype() == "multipart" and boundary else None


def parts_to_disk(chunks: Iterable[bytes], boundary: bytes, aside: Callable[[], Path]) -> Iterator[Path]:
    """Write each part to a file of its own.

    Args:
        chunks: The answer's body.
        boundary: That parts it.
        aside: Gives a new path for each part; a part that is not complete is deleted again.
    Returns: The path of each part when it is complete. Its headers are not in it.
    Raises: CutShortError: if the body ends before its last boundary. Parts that were given out are complete even so.
    """
    body = _Body(chunks)
    delimiter = b"\r\n--" + boundary
    body.skip(delimiter)
    while not body.ends():
        body.skip(b"\r\n\r\n", LONGEST_HEADER)
        path = aside()
        try:
            with path.open("wb") as file:
                body.until(delimiter, file.write)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        yield path


class _Body:
    """What has arrived and was not looked at; never more than a chunk and the length of a mark."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = bytearray(b"\r\n")  # the first boundary may stand at the very beginning

    def ends(self) -> bool:
        """Whether the boundary that was just read was the last one."""
        while len(self._left) < 2:
            self._more()
        return self._left.startswith(b"--")

    def skip(self, mark: bytes, most: int | None = None) -> None:
        """Pass over everything up to a mark and the mark itself."""
        passed = 0

        def count(part: bytearray) -> None:
            nonlocal passed
            passed += len(part)
            if most is not None and passed > most:
                raise CutShortError("a part without an end of its headers")

        self.until(mark, count)

    def until(self, mark: bytes, take: Callable[[bytearray], object]) -> None:
        """Hand on everything up to a mark, and pass over the mark."""
        while True:
            at = self._left.find(mark)
            # Without it all but what may be the beginning of a mark.
            known = at if at >= 0 else max(0, len(self._left) - len(mark) + 1)
            if known:
                take(self._left[:known])
            del self._left[: known + (len(mark) if at >= 0 else 0)]
            if at >= 0:
                return
            self._more()

    def _more(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise CutShortError("an answer without its last boundary")
        self._left += chunk
