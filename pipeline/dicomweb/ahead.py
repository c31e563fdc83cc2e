"""Work for which a network is waited for, done beside the work that computes; never much of it at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

__all__ = ["Behind", "ahead"]

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    work: Callable[[T], R], things: Iterable[T], stop: Callable[[], None] = lambda: None
) -> Generator[tuple[T, Future[R]], None, None]:
    """Do something with each of some things, with one of them while the one before is used.

    Args:
        work: Done in another thread.
        things: In their order.
        stop: Called when the rest is not wanted any more, before the work that was begun is waited for.
    Returns: Each thing with what came of it: `result()` raises what the work raised.
    """
    left = iter(things)
    waiting: deque[tuple[T, Future[R]]] = deque()
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")

    def begin() -> None:
        for thing in left:
            waiting.append((thing, pool.submit(work, thing)))
            return

    try:
        begin()
        while waiting:
            thing, future = waiting.popleft()
            future.exception()  # waits for it
            begin()
            yield thing, future
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Behind(Generic[T, R]):
    """Does something with each of some things in another thread, which lags behind by a few at most.

    Args:
        work: Done in another thread.
        done: Told of each thing and what came of it, in the thread that hands things over.
        most: Things that may wait.
    """

    def __init__(self, work: Callable[[T], R], done: Callable[[T, Future[R]], None], most: int = 2) -> None:
        self._work, self._done, self._most = work, done, most
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="behind")
        self._waiting: deque[tuple[T, Future[R]]] = deque()

    def add(self, thing: T) -> None:
        """Hand a thing over; waits while too many do."""
        while len(self._waiting) >= self._most or (self._waiting and self._waiting[0][1].done()):
            self._take()
        self._waiting.append((thing, self._pool.submit(self._work, thing)))

    def finish(self) -> None:
        """Wait for the rest."""
        while self._waiting:
            self._take()
        self._pool.shutdown()

    def drop(self) -> None:
        """Begin with nothing more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _take(self) -> None:
        thing, future = self._waiting.popleft()
        future.exception()
        self._done(thing, future)
