"""One process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import InvalidOption

__all__ = ["held"]


@contextmanager
def held(path: Path, what: str | None = None) -> Iterator[None]:
    """Within it, no other process that asks for this lock gets it; it ends with the process, however that ends.

    Args:
        path: The lock's file; it stays.
        what: What is locked, for the message; None waits for the lock instead.
    Raises: InvalidOption: if another process has it.
    """
    try:
        import fcntl
    except ImportError:  # Windows: the user has to see to it
        yield
        return
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if what is not None else 0))
        except BlockingIOError as error:
            raise InvalidOption(f"{what} is being trained by another process. Wait for it, or end it first.") from error
        except OSError:  # a file system without locks
            pass
        yield
