"""One process at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import InvalidOption

__all__ = ["held", "is_held"]


@contextmanager
def held(path: Path, what: str | None = None, *, being: str = "trained", fleeting: bool = False) -> Iterator[None]:
    """Within it, no other process that asks for this lock gets it; it ends with the process, however that ends.

    Args:
        path: The lock's file, which is made and stays; or a folder that is there.
        what: What is locked, for the message; None waits for the lock instead.
        being: What is done with it.
        fleeting: Whether the file goes at the end.
    Raises: InvalidOption: if another process has it.
    """
    try:
        import fcntl
    except ImportError:  # Windows: the user has to see to it
        yield
        return
    file = _opened(path)
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if what is not None else 0))
            except BlockingIOError as error:
                told = f"{what} is being {being} by another process. Wait for it, or end it first."
                raise InvalidOption(told) from error
            except OSError:  # a file system without locks
                break
            if not fleeting or _is_at(path, file):
                break
            os.close(file)  # whoever had it took it away before this process got it
            file = _opened(path)
        try:
            yield
        finally:
            if fleeting:
                with suppress(OSError):  # of another user
                    path.unlink()
    finally:
        with suppress(OSError):  # a loader's processes have it too, and may live a little longer
            fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


def _opened(path: Path) -> int:
    if path.is_dir():
        return os.open(path, os.O_RDONLY)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # network file systems lock what is open for writing
    except PermissionError:
        return os.open(path, os.O_RDONLY)  # of another user


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def is_held(path: Path) -> bool:
    """Whether a process has this lock now."""
    if not path.exists():
        return False
    try:
        with held(path, str(path)):
            return False
    except InvalidOption:
        return True
