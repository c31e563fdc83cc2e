"""Threads that compute, each with a network of its own."""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from pipeline.tasks.infer.batches import Batches, Predicted

if TYPE_CHECKING:
    from pipeline.tasks.infer.choosing import Chosen
    from pipeline.tasks.infer.pace import Pace

__all__ = ["Computers", "one_thread"]


class Computers:
    """Predicts batches, several at a time if the pace has it.

    Networks are not shared: a gate listens to the layers of the one that it watches.

    Args:
        chosen: Who predicts; copied for each thread but the first. What cannot be copied has one thread.
        probabilities: Whether to keep them.
        pace: With the pictures of a batch, the threads, and PyTorch's threads in each of them.
    """

    def __init__(self, chosen: Chosen, probabilities: bool, pace: Pace) -> None:
        self._threads = pace.threads
        self._before = _threads_now()
        self._batches = [Batches(one, probabilities, pace.pictures) for one in _several(chosen, pace.computers)]
        count = len(self._batches)
        self._free: SimpleQueue[Batches] = SimpleQueue()
        for one in self._batches:
            self._free.put(one)
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(count, "computing", self._begin) if count > 1 else None

    @property
    def count(self) -> int:
        """Batches that are computed at a time."""
        return len(self._batches)

    @property
    def most(self) -> int:
        """Pictures of a batch that a device has had memory for so far."""
        return min(one.most for one in self._batches)

    def __call__(self, chunks: Sequence[Sequence[Any]]) -> Future[list[Predicted | Exception]]:
        """What will be predicted of each chunk, or the error that it alone meets; computed here if there is one thread.

        Args:
            chunks: What was read, of any number of sources.
        """
        if self._pool is not None:
            return self._pool.submit(lambda: self._own.batches(chunks))
        done: Future[list[Predicted | Exception]] = Future()
        done.set_result(self._batches[0](chunks))
        return done

    def close(self) -> None:
        """Begin with nothing more, and wait for what was begun."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        _set_threads(self._before)

    def _begin(self) -> None:
        """In each of the threads, at first."""
        self._own.batches = self._free.get()
        _set_threads(self._threads)


def _several(chosen: Chosen, count: int) -> list[Chosen]:
    """One for each thread, or one alone where what a bundle is made of cannot be copied."""
    try:
        return [chosen, *(copy.deepcopy(chosen) for _ in range(count - 1))]
    except Exception:  # whatever somebody's own classes raise
        return [chosen]


def one_thread() -> None:
    """Let PyTorch do by itself what it does in the thread that asks: helpers would take the network's cores."""
    _set_threads(1)


def _threads_now() -> int:
    torch = sys.modules.get("torch")  # an exported program does without
    return int(torch.get_num_threads()) if torch is not None else 0


def _set_threads(count: int) -> None:
    """For the thread that asks, and those that begin later."""
    torch = sys.modules.get("torch")
    if torch is not None and count:
        torch.set_num_threads(count)
