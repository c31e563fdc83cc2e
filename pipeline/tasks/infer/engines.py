"""Where sources are segmented: here, in turn or overlapped, or spread over a cluster. The results are the same."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from pathlib import Path

from pipeline.cluster import Cluster
from pipeline.tasks.infer.sources import Source
from pipeline.tasks.infer.supply import Supply
from pipeline.tasks.infer.working import Done, Job, Worker

__all__ = ["here", "in_turn", "spread"]

LOST = "segmenting it ended several processes of the cluster (a damaged file, or not enough memory)."


def here(
    worker: Worker, supply: Supply, sources: Iterable[Source], aside: Path, report: Callable[[Source, int], None]
) -> Generator[tuple[Source, Done], None, None]:
    """Segment sources in this process, overlapped where there is something to overlap; arguments as of `in_turn`.

    An archive's images are segmented in turn: they lie there only until the next ones are asked for, and asking and
    storing go on beside the network anyway.
    """
    if supply.lasting and supply.slices > 1:
        from pipeline.tasks.infer.overlapped import overlapped
        from pipeline.tasks.infer.pace import pace_for

        return overlapped(worker, sources, aside, report, pace_for(worker.chosen.predict))
    return in_turn(worker, sources, aside, report)


def in_turn(
    worker: Worker, sources: Iterable[Source], aside: Path, report: Callable[[Source, int], None]
) -> Generator[tuple[Source, Done], None, None]:
    """Segment sources in this process.

    Args:
        worker: That does it.
        sources: What to segment.
        aside: Folder for results that are not published yet; empty when the next source is asked for.
        report: Told of a source and its slices that are done.
    """
    for source in sources:
        yield source, worker(source, aside, partial(report, source))


def spread(job: Job, sources: Iterable[Source], aside: Path) -> Generator[tuple[Source, Done], None, None]:
    """Segment sources in a cluster, each by one of its workers; results come in the order of the sources.

    Args:
        job: What is done with each; every worker loads it once.
        sources: What to segment.
        aside: Folder for results that are not published yet; all machines see it.
    Raises: MissingExtra: without Ray.
    """
    asked: list[Source] = []

    def noted() -> Iterator[Source]:
        for source in sources:
            asked.append(source)
            yield source

    with Cluster(gpus=job.program is None) as cluster:  # a program computes on cores
        make = partial(_Share, job, aside.absolute())
        for number, done in enumerate(cluster.map_in_order(make, noted(), when_lost=_lost)):
            yield asked[number], done


def _lost(source: Source) -> Done:
    return Done(refusal=f"{source.path}: {LOST}")


class _Share:
    """A worker in a process of a cluster, called with a source alone.

    Each source has a folder of its own below `aside`, and a new one each time that it is done: nobody can tell whether
    a worker that was lost still writes.
    """

    def __init__(self, job: Job, aside: Path) -> None:
        self.worker = Worker(job)
        self.aside = aside

    def __call__(self, source: Source) -> Done:
        from pipeline.readers import decoded_once
        from pipeline.tasks.workflow import quiet_libraries

        folder = self.aside / uuid.uuid4().hex
        folder.mkdir(parents=True)
        with quiet_libraries(), decoded_once():
            return self.worker(source, folder)
