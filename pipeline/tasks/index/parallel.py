"""Running one function over many files in several processes, in order, with flat memory and a prompt end.

Results come back in the order of the tasks; only a few chunks are under way at once. A task that kills its process
(a decoder's crash, the kernel's memory killer) costs that task alone.
"""

from __future__ import annotations

import itertools
import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

from pipeline.cluster import ENGINES, Cluster
from pipeline.cores import usable_cores
from pipeline.errors import InvalidOption

__all__ = ["MapInOrder", "engine_of", "map_in_order"]

Task = TypeVar("Task")
Result = TypeVar("Result")

MOST_PER_CHUNK = 16
CHUNKS_UNDER_WAY = 3
# Starting a process costs about as long as decoding this many small files.
FILES_WORTH_A_PROCESS = 24


class MapInOrder(Protocol):
    """`map_in_order` with its processes, or a cluster's."""

    def __call__(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], *, when_killed: Callable[[Task], Result]
    ) -> Generator[Result, None, None]:
        """Yield `function(task)` for each task."""


@contextmanager
def engine_of(name: str, workers: int | None) -> Iterator[MapInOrder]:
    """What does the work: this machine's processes ("local"), or a Ray cluster ("ray"); the results are the same.

    Args:
        name: One of `pipeline.cluster.ENGINES`.
        workers: Processes; None for one a core.
    Raises: InvalidOption, MissingExtra: for another name, and without Ray.
    """
    if name not in ENGINES:
        raise InvalidOption(f"There is no engine '{name}'. Choose from {', '.join(ENGINES)}.")
    if name == "local":
        yield partial(map_in_order, workers=workers or usable_cores())
        return
    with Cluster(workers, gpus=False) as cluster:

        def spread(
            function: Callable[[Task], Result], tasks: Sequence[Task], *, when_killed: Callable[[Task], Result]
        ) -> Generator[Result, None, None]:
            return cluster.map_in_order(partial(_itself, function), tasks, when_lost=when_killed)

        yield spread


def _itself(function: Callable[[Task], Result]) -> Callable[[Task], Result]:
    return function


def map_in_order(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    workers: int,
    when_killed: Callable[[Task], Result],
) -> Generator[Result, None, None]:
    """Yield `function(task)` for each task; close the generator to end the processes early.

    Args:
        function: A function that can be pickled; it does not raise for a bad file.
        tasks: What to call it with.
        workers: Most processes; 1 works in this process.
        when_killed: The result for a task whose process died.
    """
    workers = min(workers, len(tasks) // FILES_WORTH_A_PROCESS)
    if workers <= 1:
        yield from map(function, tasks)
        return
    size = max(1, min(MOST_PER_CHUNK, len(tasks) // (4 * workers)))
    left = deque(tasks[start : start + size] for start in range(0, len(tasks), size))
    while left:
        # Chunks that were under way when a process died are tried again, each in a process of its own.
        yield from _run_pool(function, left, workers)
        for chunk in [left.popleft() for _ in range(min(len(left), CHUNKS_UNDER_WAY * workers))]:
            yield from _run_carefully(function, chunk, when_killed)


def _run_pool(function: Callable[[Task], Result], left: deque[Sequence[Task]], workers: int) -> Iterator[Result]:
    """Take chunks from `left` as they are done; stop early if a process dies."""
    children_before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_leave_ctrl_c_to_parent)
    try:
        with _ctrl_c_ignored():
            waiting = deque(
                pool.submit(_run_chunk, function, chunk) for chunk in itertools.islice(left, CHUNKS_UNDER_WAY * workers)
            )
        while waiting:
            try:
                results = waiting.popleft().result()
            except BrokenProcessPool:
                return
            left.popleft()
            yield from results
            if len(left) > len(waiting):
                try:
                    waiting.append(pool.submit(_run_chunk, function, left[len(waiting)]))
                except BrokenProcessPool:
                    return
        pool.shutdown()
    finally:
        # After Ctrl-C, or when the caller stops listening, running chunks are not waited for.
        for child in set(multiprocessing.active_children()) - children_before:
            child.terminate()
        pool.shutdown(cancel_futures=True)


def _run_carefully(
    function: Callable[[Task], Result], chunk: Sequence[Task], when_killed: Callable[[Task], Result]
) -> Iterator[Result]:
    done = deque([chunk])
    results = list(_run_pool(function, done, 1))
    if not done:
        yield from results
    elif len(chunk) == 1:
        yield when_killed(chunk[0])
    else:
        for task in chunk:
            yield from _run_carefully(function, [task], when_killed)


def _run_chunk(function: Callable[[Task], Result], chunk: Iterable[Task]) -> list[Result]:
    return [function(task) for task in chunk]


def _leave_ctrl_c_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Processes started within it ignore Ctrl-C from their first moment, before the initializer runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
