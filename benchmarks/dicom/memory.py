"""The most memory that processes hold at once, children included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from benchmarks.memory import every, resident_mib

__all__ = ["Peaks", "watched"]

EVERY_S = 0.05


class Peaks:
    """Resident memory of each process with its children at its most, MiB."""

    def __init__(self) -> None:
        self.mib: dict[str, float] = {}

    def look(self, name: str, pid: int) -> None:
        """Look once; a process that is gone holds nothing."""
        self.mib.setdefault(name, 0.0)
        with suppress(psutil.Error):
            self.mib[name] = max(self.mib[name], resident_mib(pid))


@contextmanager
def watched(processes: dict[str, int]) -> Iterator[Peaks]:
    """Within it the processes are looked at twenty times a second.

    Args:
        processes: Name → id.
    """
    peaks = Peaks()

    def look() -> None:
        for name, pid in list(processes.items()):
            peaks.look(name, pid)

    with every(EVERY_S, look):
        yield peaks
