"""Ctrl-C, said as Ctrl-C whatever else it sets off."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interrupts_first", "leave_children"]


@contextmanager
def interrupts_first() -> Iterator[None]:
    """Within it, any error that follows Ctrl-C is raised as KeyboardInterrupt.

    Ctrl-C goes to the whole group of processes. A loader's process that ends by it makes torch raise "worker exited
    unexpectedly" from the handler of SIGCHLD, at any moment, also while the interrupt is being dealt with: a run would
    then be recorded as failed, or stay open. After Ctrl-C that handler is therefore taken away.

    Raises:
        KeyboardInterrupt: instead of the error that came after Ctrl-C.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    seen = False

    def interrupted(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        seen = True
        leave_children()
        before(number, frame)

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    except Exception as error:
        if seen:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def leave_children() -> None:
    """Let no child process that ends raise anything from now on."""
    if hasattr(signal, "SIGCHLD"):
        # Not SIG_DFL: where a signal has come and its handler is gone when its turn comes, Python prints a traceback.
        signal.signal(signal.SIGCHLD, _unheard)


def _unheard(number: int, frame: FrameType | None) -> None:
    """Do nothing."""
