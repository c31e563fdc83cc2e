"""Whose a record is, and whether that process is still there."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["Ownership", "this_process", "unless_owned"]

_ours: set[Path] = set()
_guard = threading.Lock()


def this_process() -> dict[str, Any]:
    """What tells this process from all others: its number, when it began (s since 1970), and its machine."""
    import psutil

    return {
        "pid": os.getpid(),
        "process_created": psutil.Process().create_time(),
        "host": socket.gethostname(),
    }


class Ownership:
    """A lock on a record's folder that ends with the process, however that ends.

    It is a POSIX record lock: processes that this one forks do not inherit it, as they would `flock`, so that data
    loaders that outlive a killed training by seconds do not hold it. It also holds between containers, which do not see
    one another's processes. Where locks are not to be had, the process's number tells.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._file: int | None = None

    def take(self) -> bool:
        """Take the lock; False if another has it. OSError if there are no locks here."""
        with _guard:
            # To this process its own lock would look free, and closing the file would end it.
            if self.folder in _ours:
                return False
            try:
                import fcntl
            except ImportError as error:  # Windows
                raise OSError("no locks") from error
            file = os.open(self.folder / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(file)
                if isinstance(error, (BlockingIOError, PermissionError)):
                    return False
                raise
            self._file = file
            _ours.add(self.folder)
            return True

    def hold(self) -> None:
        """Mark a new folder as this process's own, with a lock where there are locks."""
        with suppress(OSError):
            self.take()
        with _guard:
            _ours.add(self.folder)

    def release(self) -> None:
        """Give it up."""
        with _guard:
            _ours.discard(self.folder)
            if self._file is not None:
                os.close(self._file)
                self._file = None


@contextmanager
def unless_owned(folder: Path, about: Mapping[str, Any]) -> Iterator[bool]:
    """Within it the record is this process's; yields False where its own process is still there.

    Args:
        folder: The record.
        about: Its `about.json`.
    """
    owner = Ownership(folder)
    try:
        free = owner.take()
    except OSError:
        free = owner.folder not in _ours and not _is_there(about)
    try:
        yield free
    finally:
        if free:
            owner.release()


def _is_there(about: Mapping[str, Any]) -> bool:
    """Whether the process of a record runs; one of another machine is taken to."""
    import psutil

    if about.get("host") != socket.gethostname():
        return True
    try:
        created = psutil.Process(int(about["pid"])).create_time()
    except (psutil.NoSuchProcess, KeyError, ValueError):
        return False
    except psutil.Error:
        return True
    # The number may have been given to another process since.
    return abs(created - float(about.get("process_created", created))) < 1.0
