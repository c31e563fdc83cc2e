"""The last decoded volumes of this process, so that reading slice by slice decodes each volume once.

And, for whoever asks for it, the last decoded picture.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pipeline.archives import time_of_change
from pipeline.readers.picture import Picture

__all__ = ["VolumeCache", "decoded_once", "last_picture"]

Key = tuple[object, ...]


class VolumeCache:
    """Least recently used volumes, kept within a number of bytes (one volume may exceed it).

    A volume is known by its path, time of change, size and reading options: a file that was written again is decoded
    again. Threads that want one volume wait for the first of them to decode it.
    """

    def __init__(self, max_bytes: int = 512 * 2**20) -> None:
        self.max_bytes = max_bytes
        self._volumes: OrderedDict[Key, Picture] = OrderedDict()
        self._lock = threading.Lock()
        self._decoding: dict[Key, threading.Lock] = {}

    def get(self, path: str, options: Key, decode: Callable[[], Picture]) -> Picture:
        """The volume, from the cache or by `decode`. Its array must not be changed: copy what leaves this package."""
        key = (*_identity(path), *options)
        found = self.peek(key)
        if found is not None:
            return found
        with self._lock:
            decoding = self._decoding.setdefault(key, threading.Lock())
        with decoding:
            try:
                found = self.peek(key)
                if found is None:
                    found = decode()
                    self._put(key, found)
                return found
            finally:
                with self._lock:
                    self._decoding.pop(key, None)

    def find(self, path: str, options: Key) -> Picture | None:
        """The volume if it is there, as `get`."""
        return self.peek((*_identity(path), *options))

    def peek(self, key: Key) -> Picture | None:
        """The volume of that key if it is there."""
        with self._lock:
            if key in self._volumes:
                self._volumes.move_to_end(key)
            return self._volumes.get(key)

    def clear(self) -> None:
        """Keep nothing any more."""
        with self._lock:
            self._volumes.clear()

    def _put(self, key: Key, volume: Picture) -> None:
        with self._lock:
            self._volumes[key] = volume
            while len(self._volumes) > 1 and sum(v.array.nbytes for v in self._volumes.values()) > self.max_bytes:
                self._volumes.popitem(last=False)


# Of this thread alone: others read other pictures.
_last: ContextVar[VolumeCache | None] = ContextVar("last picture", default=None)


@contextmanager
def decoded_once(kept: VolumeCache | None = None) -> Iterator[None]:
    """Within it, a picture that is read again before another one is read is not decoded again.

    A network and what is written of its mask read the same film. One picture is kept at a time.

    Args:
        kept: Where it is kept: threads that are given the same one decode a picture once between them.
    """
    token = _last.set(VolumeCache(max_bytes=0) if kept is None else kept)
    try:
        yield
    finally:
        _last.reset(token)


def last_picture() -> VolumeCache | None:
    """Where `decoded_once` keeps the picture; None outside of it."""
    return _last.get()


def _identity(path: str) -> Key:
    return path, *time_of_change(path)
