"""Mapping over files in processes: order, bounded work, and prompt ends."""

import multiprocessing
import os
import signal
import threading
import time
from contextlib import closing
from functools import partial

import pytest

from pipeline.tasks.index.parallel import map_in_order


def square(number: int) -> int:
    return number * number


def process_id(_number: int) -> int:
    return os.getpid()


def die_at(number: int, *, fatal: int) -> int:
    if number == fatal:
        os._exit(9)
    return number


def sleep(number: int) -> int:
    time.sleep(30 if number else 0)
    return number


def never(_task: int) -> int:
    raise AssertionError("no process died")


@pytest.fixture(autouse=True)
def _no_process_is_left():
    yield
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers):
    assert list(map_in_order(square, range(200), workers=workers, when_killed=never)) == [k * k for k in range(200)]


def test_few_files_are_worth_no_process():
    assert set(map_in_order(process_id, range(20), workers=8, when_killed=never)) == {os.getpid()}


def test_many_files_are_shared_among_processes():
    assert os.getpid() not in set(map_in_order(process_id, range(200), workers=2, when_killed=never))


def test_task_that_kills_its_process_costs_that_task_alone():
    results = map_in_order(partial(die_at, fatal=30), range(60), workers=2, when_killed=lambda number: -number)
    assert list(results) == [*range(30), -30, *range(31, 60)]


def test_closing_ends_running_processes_at_once():
    start = time.monotonic()
    with closing(map_in_order(sleep, range(64), workers=2, when_killed=never)) as results, pytest.raises(StopIteration):
        results.close()
        next(results)
    assert time.monotonic() - start < 5


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_ctrl_c_ends_running_processes_at_once():
    start = time.monotonic()
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        list(map_in_order(sleep, range(64), workers=2, when_killed=never))
    assert time.monotonic() - start < 10
