"""Looking at the memory of processes while something else goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

__all__ = ["every", "resident_mib"]


def resident_mib(pid: int) -> float:
    """Resident memory of a process and its children, MiB.

    Raises: psutil.Error: if one of them is gone.
    """
    process = psutil.Process(pid)
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / 2**20


@contextmanager
def every(seconds: float, look: Callable[[], None]) -> Iterator[None]:
    """Within it a thread of its own looks, again and again."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(seconds):
            look()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
