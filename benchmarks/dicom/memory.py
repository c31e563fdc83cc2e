"""The most memory that processes hold at once, children included."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

__all__ = ["Peaks", "watched"]

EVERY_S = 0.05


class Peaks:
    """Resident memory of each process with its children at its most, MiB."""

    def __init__(self) -> None:
        self.mib: dict[str, float] = {}

    def look(self, name: str, pid: int) -> None:
        """Look once; a process that is gone holds nothing."""
        total = 0
        try:
            process = psutil.Process(pid)
            for one in (process, *process.children(recursive=True)):
                total += one.memory_info().rss
        except psutil.Error:
            pass
        self.mib[name] = max(self.mib.get(name, 0.0), total / 2**20)


@contextmanager
def watched(processes: dict[str, int]) -> Iterator[Peaks]:
    """Within it the processes are looked at twenty times a second.

    Args:
        processes: Name → id.
    """
    peaks, ended = Peaks(), threading.Event()

    def look() -> None:
        while not ended.wait(EVERY_S):
            for name, pid in list(processes.items()):
                peaks.look(name, pid)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()
