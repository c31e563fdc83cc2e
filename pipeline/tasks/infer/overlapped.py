"""Sources read, segmented and written at the same time, and never many of them.

The thread that is called computes: whatever has to do with the network happens there, one batch after the other. On a
CPU several threads do, each with a network of its own and a share of the cores. Threads beside it read the next
sources, and one writes the results of the last ones. What comes out, and in which order, is what segmenting them in
turn gives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.tasks.infer.batches import Predicted
from pipeline.tasks.infer.computers import Computers, one_thread
from pipeline.tasks.infer.pace import Pace
from pipeline.tasks.infer.segment import SLICES_AT_ONCE
from pipeline.tasks.infer.sources import Source
from pipeline.tasks.infer.underway import Underway
from pipeline.tasks.infer.working import Done, Worker

__all__ = ["overlapped"]


def overlapped(
    worker: Worker, sources: Iterable[Source], aside: Path, report: Callable[[Source, int], None], pace: Pace
) -> Generator[tuple[Source, Done], None, None]:
    """Segment sources in this process; results come in the order of the sources.

    Args:
        worker: That does it.
        sources: What to segment.
        aside: Folder for results that are not published yet.
        report: Told of a source and its slices that are done, once those before it were given out.
        pace: How much goes on at once.
    Raises: OSError: in the place of a source's result, if the folder cannot be written.
    """
    line = _Line(worker, sources, aside, report, pace)
    try:
        for source, done in line.results():
            yield source, done
            if done.written is not None:
                with suppress(OSError):  # not empty: it was not published
                    done.written.folder.rmdir()
    finally:
        line.close()


class _Line:
    """The sources under way, in order; arguments as of `overlapped`."""

    def __init__(
        self, worker: Worker, sources: Iterable[Source], aside: Path, report: Callable[[Source, int], None], pace: Pace
    ) -> None:
        self.worker, self.aside, self.report, self.pace = worker, aside, report, pace
        self.left = iter(sources)
        self.next: Source | None = None
        self.exhausted = False
        self.under_way: deque[Underway] = deque()
        self.gathered: list[tuple[Underway, list[Any]]] = []
        self.bytes_a_slice = 0
        self.number = 0
        self.computers = Computers(worker.chosen, worker.job.wanted.all_probabilities, pace)
        self.computed: deque[tuple[list[Underway], Future[list[Predicted | Exception]]]] = deque()
        self.readers = ThreadPoolExecutor(pace.readers, "reading", one_thread)
        self.writer = ThreadPoolExecutor(1, "writing", one_thread)

    def close(self) -> None:
        """Begin with nothing more, and wait for what was begun: it uses the folder."""
        self.readers.shutdown(wait=False, cancel_futures=True)
        self.computers.close()
        self.writer.shutdown(wait=True, cancel_futures=True)
        self.readers.shutdown(wait=True)

    def results(self) -> Generator[tuple[Source, Done], None, None]:
        """The sources and what came of them."""
        while True:
            self._begin()
            while self.under_way and _is_done(self.under_way[0]):
                yield self._first()
                self._begin()
            to_read = next((one for one in self.under_way if not one.wholly_read), None)
            if self._batch_is_whole(to_read):
                self._predict()
            elif to_read is not None:
                cases = to_read.take()
                self.gathered += [(to_read, cases)] if cases else []
            elif self.computed:
                self._found()
            elif self.under_way:
                yield self._first()
            else:
                return

    def _batch_is_whole(self, to_read: Underway | None) -> bool:
        """Whether to wait for no more pictures: a batch is the same however long reading and writing take."""
        if sum(len(cases) for _, cases in self.gathered) >= self.computers.most:
            return True
        no_more = self.exhausted or (bool(self.under_way) and self.under_way[0].result is None)
        return bool(self.gathered) and to_read is None and no_more

    def _begin(self) -> None:
        """Have sources read as long as there is room for more."""
        while not self.exhausted and len(self.under_way) < self.pace.sources:
            if self.under_way and not self.under_way[-1].wholly_begun:
                return  # reading two volumes by turns would decode them again and again
            self.next = next(self.left, None) if self.next is None else self.next
            if self.next is None:
                self.exhausted = True
            elif self._has_room(self.next):
                ahead = 1 + max(1, self.pace.pictures // SLICES_AT_ONCE)
                self.under_way.append(Underway(self.next, self.worker, self.readers, ahead))
                self.next = None
            else:
                return

    def _has_room(self, source: Source) -> bool:
        """Whether another source may be read: by the largest slices seen so far, for its own are not known yet."""
        if not self.under_way:
            return True
        if self.bytes_a_slice == 0:
            self.under_way[0].wait_if_wholly_begun()
        for one in self.under_way:
            self.bytes_a_slice = max(self.bytes_a_slice, one.size // max(1, len(one.source.slices)))
        expected = [max(one.size, self._expected(one.source)) for one in self.under_way]
        return self.bytes_a_slice > 0 and sum(expected) + self._expected(source) <= self.pace.room

    def _expected(self, source: Source) -> int:
        return self.bytes_a_slice * len(source.slices)

    def _predict(self) -> None:
        """Have what was gathered put through the network, and look at what has been before."""
        gathered, self.gathered = [one for one in self.gathered if one[0].result is None], []
        if gathered:
            begun = self.computers([cases for _, cases in gathered])
            self.computed.append(([one for one, _ in gathered], begun))
        while self.computed and (self.computed[0][1].done() or len(self.computed) > self.computers.count):
            self._found()
        self._tell()

    def _found(self) -> None:
        """Wait for the first batch that is being computed, and have written what is whole by that."""
        sources, future = self.computed.popleft()
        for one, results in zip(sources, future.result(), strict=True):
            if one.result is None:
                one.add(results, self._write)
        self._tell()

    def _write(self, one: Underway) -> Future[Done]:
        self.number += 1
        return self.writer.submit(one.written, self.aside / str(self.number))

    def _first(self) -> tuple[Source, Done]:
        """The first source and what came of it; waits for it."""
        self._tell()
        one = self.under_way[0]
        if one.result is None:
            raise RuntimeError(f"{one.source.path} was neither predicted nor refused.")
        done = one.result.result()
        self.under_way.popleft()
        return one.source, done

    def _tell(self) -> None:
        """Report the progress of the first source; the others' waits until those before them were given out."""
        if self.under_way:
            first = self.under_way[0]
            while first.reports:
                self.report(first.source, first.reports.popleft())


def _is_done(one: Underway) -> bool:
    return one.result is not None and one.result.done()
