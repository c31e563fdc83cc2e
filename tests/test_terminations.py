from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from pipeline import terminations
from pipeline.interrupts import interrupts_first
from pipeline.tracking.open_run import status_after

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCHLD)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_sigterm_is_raised_while_somebody_is_recording_and_the_handler_is_as_it_was_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    first, second = object(), object()
    terminations.watch(first)
    terminations.watch(second)
    terminations.unwatch(first)
    with pytest.raises(terminations.Terminated) as caught:
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 143
    assert terminations.end_of_process() is caught.value
    assert status_after(caught.value) == "KILLED"
    assert signal.getsignal(signal.SIGTERM) == before  # a second one ends the process at once
    terminations.unwatch(second)
    assert signal.getsignal(signal.SIGTERM) == before


def test_ctrl_c_within_a_config_that_monai_evaluates_is_ctrl_c() -> None:
    wrapped = RuntimeError("Failed to evaluate")
    wrapped.__cause__ = KeyboardInterrupt()
    assert status_after(wrapped) == "KILLED"
    assert status_after(RuntimeError("a bug")) == "FAILED"


def test_an_error_that_follows_is_no_reason_to_take_it_for_another_end() -> None:
    who = object()
    terminations.watch(who)
    with pytest.raises(terminations.Terminated), interrupts_first():
        signal.raise_signal(signal.SIGTERM)
    terminations.unwatch(who)


def test_a_handler_that_somebody_else_has_set_is_asked_and_may_go_on() -> None:
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    who = object()
    terminations.watch(who)
    signal.raise_signal(signal.SIGTERM)  # a queue that only notes that the time is nearly over
    signal.raise_signal(signal.SIGTERM)
    assert asked == [signal.SIGTERM] * 2
    assert terminations.end_of_process() is None
    terminations.unwatch(who)
    signal.raise_signal(signal.SIGTERM)
    assert len(asked) == 3


def test_where_sigterm_is_ignored_it_stays_so() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    who = object()
    terminations.watch(who)
    signal.raise_signal(signal.SIGTERM)
    terminations.unwatch(who)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_a_process_that_was_forked_ends_as_it_would_without() -> None:
    who = object()
    terminations.watch(who)
    child = os.fork()
    if child == 0:
        signal.raise_signal(signal.SIGTERM)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
    terminations.unwatch(who)
