"""One source on its way through reading, network and writing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from pathlib import Path
from typing import Any

from pipeline.errors import UnreadableImage
from pipeline.readers import Picture, decoded_once
from pipeline.readers.cache import VolumeCache
from pipeline.tasks.infer.batches import Predicted
from pipeline.tasks.infer.segment import SourceMask, chunks_of
from pipeline.tasks.infer.segmented import Segmented
from pipeline.tasks.infer.sources import Source
from pipeline.tasks.infer.working import Done, Worker, done_or_refused

__all__ = ["Underway"]


class Underway:
    """A source, what was read and found of it, and in the end what came of it.

    Its methods are called by the thread that computes; what they begin is done by others.

    Args:
        source: To segment.
        worker: That does it.
        readers: Threads that read.
        ahead: Chunks of slices that are read before they are asked for.

    Attributes:
        result: What came of it, once it is being written or is refused.
        reports: Slices that were done when progress was to be reported, not told yet.
    """

    def __init__(self, source: Source, worker: Worker, readers: Executor, ahead: int) -> None:
        self.source, self.worker = source, worker
        self.result: Future[Done] | None = None
        self.reports: deque[int] = deque()
        self._readers = readers
        self._found = SourceMask(len(source.slices), worker.gate)
        # A film is kept for its mask, slices of a series for the volume; other volumes the readers keep by themselves.
        self._kept = VolumeCache() if source.series else VolumeCache(max_bytes=0) if len(source.slices) == 1 else None
        self._names = chunks_of(source)
        self._images = readers.submit(worker.images_of, source)
        self._chunks: deque[Future[list[Any]]] = deque()
        self._picture: Future[Picture] | None = None
        self._unreadable = False
        for _ in range(ahead):
            self._read_on()
        if not source.slices:
            self.refuse(ValueError(f"{source.path} has no slices."))

    @property
    def size(self) -> int:
        """Bytes that it takes; 0 before it was read whole."""
        if self._picture is None or not self._picture.done() or self._picture.cancelled() or self._picture.exception():
            return 0
        array, probabilities = self._picture.result().array, self._found.probabilities
        # The picture, the one that is kept decoded, the mask.
        return int(2 * array.nbytes + array.size + (0 if probabilities is None else probabilities.nbytes))

    def wait_if_wholly_begun(self) -> None:
        """Wait until it is read, if nothing more has to be done for that here."""
        if self._picture is not None:
            wait([self._picture])

    @property
    def wholly_begun(self) -> bool:
        """Whether nothing more of it is to be given to the threads that read."""
        return self._picture is not None or self.result is not None

    @property
    def wholly_read(self) -> bool:
        """Whether every chunk was taken, or is not wanted any more."""
        return self.result is not None or (not self._chunks and self._picture is not None)

    def take(self) -> list[Any]:
        """The next chunk as the predictor takes it; waits for it. Empty if the source is refused."""
        try:
            self._images.result()
            self._read_on()
            return self._chunks.popleft().result()
        except Exception as error:
            self.refuse(error)
            return []

    def add(self, results: Predicted | Exception, write: Callable[[Underway], Future[Done]]) -> None:
        """What was predicted of a chunk, or the error that it met; when it was the last one, it is to be written."""
        try:
            if isinstance(results, Exception):
                raise results
            for one in results:
                self._found.add(*one)
        except Exception as error:
            self.refuse(error)
            return
        self.reports.append(self._found.slices)
        if self._found.slices == len(self.source.slices):
            self.result = write(self)

    def written(self, aside: Path) -> Done:
        """Write the results, in a thread that does nothing else."""

        def work() -> Done:
            found, picture = self._found, self._picture
            if picture is None or found.mask is None:
                raise ValueError(f"{self.source.path} was not read and predicted yet.")
            images = self._images.result()
            result = Segmented(self.source, picture.result(), found.mask, found.probabilities, images)
            aside.mkdir()
            return self.worker.written(result, found.verdicts, aside)

        with decoded_once(self._kept):
            return done_or_refused(self.source, work)

    def refuse(self, error: Exception) -> None:
        """Give the source up; an error that others would meet too is raised where its turn comes."""

        def raised() -> Done:
            raise error

        self.result = Future()
        try:
            self.result.set_result(done_or_refused(self.source, raised))
        except Exception as fatal:
            self.result.set_exception(fatal)
        for future in self._chunks:
            future.cancel()

    def _read_on(self) -> None:
        """Have the next chunk read, and the whole picture after the last one, which is kept decoded."""
        names = next(self._names, None)
        if names is not None:
            self._chunks.append(self._readers.submit(self._chunk, names))
        elif self._picture is None:
            self._picture = self._readers.submit(self._whole)

    def _chunk(self, names: list[str]) -> list[Any]:
        try:
            with decoded_once(self._kept):
                return [self.worker.chosen.predict.read(name) for name in names]
        except BaseException:
            self._unreadable = True
            raise

    def _whole(self) -> Picture:
        if self._unreadable:
            raise UnreadableImage(f"{self.source.path}: not all of it can be read.")  # said by the chunk, and why
        with decoded_once(self._kept):
            picture = self.source.picture()
        if self._kept is not None and self.source.series is not None:
            self._kept.clear()  # the volume is whole
        return picture
