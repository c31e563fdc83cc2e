"""One process at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import InvalidOption

__all__ = ["held", "is_held"]


@contextmanager
def held(path: Path, what: str | None = None) -> Iterator[None]:
    """Within it, no other process that asks for this lock gets it; it ends with the process, however that ends.

    Args:
        path: The lock's file, which is made and stays; or a folder that is there.
        what: What is locked, for the message; None waits for the lock instead.
    Raises: InvalidOption: if another process has it.
    """
    try:
        import fcntl
    except ImportError:  # Windows: the user has to see to it
        yield
        return
    file = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if what is not None else 0))
        except BlockingIOError as error:
            raise InvalidOption(f"{what} is being trained by another process. Wait for it, or end it first.") from error
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        with suppress(OSError):  # a loader's processes have it too, and may live a little longer
            fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


def is_held(path: Path) -> bool:
    """Whether a process has this lock now."""
    if not path.exists():
        return False
    try:
        with held(path, str(path)):
            return False
    except InvalidOption:
        return True
