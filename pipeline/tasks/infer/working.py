"""One source from its file to results that lie ready, wherever that is done."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bundle import Bundle
from pipeline.exported import ProgramFile
from pipeline.readers import remember_volume
from pipeline.tasks.infer.archive import Model, images_of
from pipeline.tasks.infer.choosing import Chosen, predictor_for
from pipeline.tasks.infer.gating import gate_of
from pipeline.tasks.infer.recording import record_row
from pipeline.tasks.infer.results import Written, write_results
from pipeline.tasks.infer.segment import segment_source
from pipeline.tasks.infer.segmented import Segmented
from pipeline.tasks.infer.sources import Source, reason
from pipeline.tasks.infer.statistics import measured, statistics_document, statistics_rows
from pipeline.tasks.infer.wanted import Wanted

if TYPE_CHECKING:
    from pipeline.dicom_seg import SourceImages
    from pipeline.gate import Gate, Verdict

__all__ = ["FATAL", "Done", "Job", "Worker", "done_or_refused"]

# Errors of the place that is written to: the next file would meet them too.
FATAL = {errno.ENOSPC, errno.EROFS, errno.EDQUOT}


@dataclass(frozen=True)
class Job:
    """What is done with every source, and all that a worker on another machine has to know of it.

    Attributes:
        bundle: The bundle.
        weights: One checkpoint, or several that are averaged.
        settings: Overrides of the inference config.
        test_time_flips: Whether to average over the config's flips.
        judged: Whether the bundle's gate judges.
        program: From `program_for`.
        instead: Likewise.
        wanted: What is to be written.
        labels: Class index → name.
        model: What made the masks, for DICOM objects and previews.
        made_by: The bundle and its weights, for statistics.
        recorded: Whether digests are wanted for MLflow.
    """

    bundle: Bundle
    weights: tuple[Path, ...]
    settings: Mapping[str, Any]
    test_time_flips: bool
    judged: bool
    program: ProgramFile | None
    instead: str
    wanted: Wanted
    labels: Mapping[int, str]
    model: Model | None
    made_by: Mapping[str, str]
    recorded: bool


@dataclass(frozen=True)
class Done:
    """What came of one source.

    Attributes:
        written: The results, ready to be published; None if it was refused.
        refusal: Why; "" if it was not.
        warnings: What readers had to say.
        rows: Of the table of statistics.
        record: Of the record's table.
        verdict: The gate's.
    """

    written: Written | None = None
    refusal: str = ""
    warnings: tuple[str, ...] = ()
    rows: list[dict[str, Any]] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    verdict: Verdict | None = None


class Worker:
    """Segments sources with a bundle that is loaded once.

    Args:
        job: What to do.
        gate: The bundle's, if it has been read already.
    """

    def __init__(self, job: Job, gate: Gate | None = None) -> None:
        self.job = job
        self.gate = gate
        if job.judged and gate is None:
            self.gate, _ = gate_of(job.bundle, changed=False)

    def load(self) -> None:
        """Load what predicts, which otherwise happens with the first source."""
        self.chosen  # noqa: B018

    @property
    def ran(self) -> str:
        """Which way the sources went, in one line; "" where there is no choice, or nothing was done here."""
        return self.chosen.ran if "chosen" in vars(self) else ""

    @cached_property
    def chosen(self) -> Chosen:
        """Who predicts, loaded when it is first asked for."""
        job = self.job
        return predictor_for(
            job.bundle,
            job.weights,
            job.settings,
            test_time_flips=job.test_time_flips,
            gate=self.gate,
            program=job.program,
            instead=job.instead,
        )

    def __call__(self, source: Source, aside: Path, report: Callable[[int], None] = lambda slices: None) -> Done:
        """Segment one source; what is wrong with it is in the result.

        Args:
            source: What to segment.
            aside: Folder for the results; those of one source at a time.
            report: Told of the slices that are done.
        Raises: OSError: if the folder cannot be written.
        """
        if source.series is not None:
            remember_volume(source.series)  # which another process of a cluster has put together
        return done_or_refused(source, lambda: self._done(source, aside, report))

    def images_of(self, source: Source) -> SourceImages | None:
        """The DICOM images that results refer to, if any do.

        Raises: UnsupportedImage, UnreadableImage: if there are none that a mask could refer to.
        """
        return images_of(source) if self.job.wanted.archived else None

    def written(self, result: Segmented, verdicts: Sequence[Verdict], aside: Path) -> Done:
        """Write the results of a source.

        Args:
            result: The source and its mask.
            verdicts: Of its slices; empty without a gate.
            aside: Empty folder for the results.
        Raises: whatever writing raises.
        """
        job, gate, source, picture, mask = self.job, self.gate, result.source, result.picture, result.mask
        documents: dict[str, Callable[[list[str]], dict[str, Any]] | None] = {"quality": None, "statistics": None}
        whole: Verdict | None = None
        if gate is not None:
            from pipeline.tasks.infer.quality import quality_document, verdict_of_volume

            whole = verdict_of_volume(gate, verdicts)
            documents["quality"] = partial(quality_document, gate, whole, verdicts)
        found = measured(picture, mask, job.labels) if job.wanted.statistics else []
        if job.wanted.statistics:
            documents["statistics"] = partial(statistics_document, picture, found, job.made_by)
        written = write_results(result, aside, job.wanted, model=job.model, documents=documents)
        return Done(
            written=written,
            warnings=(*picture.warnings, *(result.images.warnings if result.images is not None else ())),
            rows=statistics_rows(source.said, picture, found),
            record=record_row(source, picture, mask, written.masks, whole) if job.recorded else {},
            verdict=whole,
        )

    def _done(self, source: Source, aside: Path, report: Callable[[int], None]) -> Done:
        # Before the network, which takes longer than finding out that there is nothing to refer to.
        images = self.images_of(source)
        predict, watch = self.chosen.predict, self.chosen.watch
        kept = self.job.wanted.all_probabilities
        mask, volume, verdicts = segment_source(source, predict, kept, report, self.gate, watch)
        return self.written(Segmented(source, source.picture(), mask, volume, images), verdicts, aside)


def done_or_refused(source: Source, work: Callable[[], Done]) -> Done:
    """What came of a source; an error that is the source's own is its refusal.

    Raises: OSError: where no other source would fare better.
    """
    try:
        return work()
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FATAL:
            raise
        return Done(refusal=reason(error, str(source.path)))
