"""Ctrl-C is said as Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from pipeline.interrupts import interrupts_first

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGCHLD")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGCHLD)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_an_error_after_ctrl_c_is_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, interrupts_first():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError("DataLoader worker (pid 7) exited unexpectedly") from None
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_worker_that_ends_by_ctrl_c_does_not_raise_while_it_is_dealt_with() -> None:
    def worker_ended(number: int, frame: object) -> None:
        raise RuntimeError("DataLoader worker (pid 7) exited unexpectedly")

    signal.signal(signal.SIGCHLD, worker_ended)
    closed = False
    with pytest.raises(KeyboardInterrupt), interrupts_first():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            os.kill(os.getpid(), signal.SIGCHLD)
            closed = True
            raise
    assert closed


def test_a_worker_that_ends_together_with_ctrl_c_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    both = {signal.SIGINT, signal.SIGCHLD}
    with pytest.raises(KeyboardInterrupt), interrupts_first():
        signal.pthread_sigmask(signal.SIG_BLOCK, both)
        for number in both:
            signal.pthread_kill(threading.get_ident(), number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
        time.sleep(0.1)
    time.sleep(0.1)
    assert not printed


def test_an_error_without_ctrl_c_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="as before"), interrupts_first():
        raise RuntimeError("as before")


def test_the_handler_is_put_back_and_other_threads_leave_it_alone() -> None:
    with interrupts_first():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    done = []

    def elsewhere() -> None:
        with interrupts_first():
            done.append(signal.getsignal(signal.SIGINT) is signal.default_int_handler)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert done == [True]
