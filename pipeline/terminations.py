"""SIGTERM, said to those whom it matters to: a queue, a container or `kill` ends a training or an inference."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pipeline.interrupts import leave_children

__all__ = ["Terminated", "end_of_process", "raised_within", "unwatch", "watch"]


class Terminated(SystemExit):
    """SIGTERM. Everything is left in order, as after Ctrl-C, and the status is the shell's: 128 + 15."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)

    def __str__(self) -> str:
        return "SIGTERM"


_watchers: set[int] = set()
_before: Any = None
_installed = False
_pid = 0
_seen: Terminated | None = None


def watch(who: object) -> None:
    """Let SIGTERM be raised as `Terminated` while there is someone to whom it matters.

    A handler that someone else has set, such as a queue's, is asked first: it may go on, or raise what it likes. Where
    SIGTERM is ignored, it stays so. Outside the main thread nothing can be set; the process then ends at once, and the
    next command finds the run stale.
    """
    global _before, _installed, _pid, _seen
    _watchers.add(id(who))
    if _installed or threading.current_thread() is not threading.main_thread():
        return
    _before = signal.getsignal(signal.SIGTERM)
    if _before is None or _before is signal.SIG_IGN:
        return
    signal.signal(signal.SIGTERM, _terminated)
    _installed, _pid, _seen = True, os.getpid(), None


def unwatch(who: object) -> None:
    """It does not matter any more; after the last one the handler is as it was."""
    global _installed
    _watchers.discard(id(who))
    if _watchers or not _installed or threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is _terminated:
        signal.signal(signal.SIGTERM, _before)
    _installed = False


@contextmanager
def raised_within() -> Iterator[None]:
    """Within it SIGTERM is raised as `Terminated`, so that what is half done is cleared away."""
    who = object()
    watch(who)
    try:
        yield
    finally:
        unwatch(who)


def end_of_process() -> Terminated | None:
    """The SIGTERM that ends this process, with its traceback, or None."""
    return _seen if _pid == os.getpid() else None


def _terminated(number: int, frame: FrameType | None) -> None:
    global _seen, _installed
    if os.getpid() != _pid:
        # A process that this one forked has the handler too; it ends as it would without.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        return
    if callable(_before):
        _before(number, frame)
        return
    _seen = Terminated()
    # A second one ends the process at once. What the data loader's processes do when they get the signal too is no
    # error of its own (`pipeline.interrupts`).
    signal.signal(signal.SIGTERM, _before)
    _installed = False
    leave_children()
    raise _seen
