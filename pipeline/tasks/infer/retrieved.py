"""Images of an archive as sources: one retrieved while the one before is segmented, and gone when it is done."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.dicomweb import Choice, Selection, Series, ahead, retrieve
from pipeline.errors import ArchiveUnreachable, PlanarError
from pipeline.tasks.infer.archive import Model
from pipeline.tasks.infer.earlier import Earlier
from pipeline.tasks.infer.planned import Planned
from pipeline.tasks.infer.resuming import Known, note_source
from pipeline.tasks.infer.returned import Errand, Returned, Returning
from pipeline.tasks.infer.sources import Refusal, Source
from pipeline.tasks.infer.units import ImageName, Unit, sources_in, units_of
from pipeline.tasks.infer.wanted import Wanted

__all__ = ["ArchiveSupply", "FromArchive"]

# The retrieved images lie in the output folder, where there is room, under a name that says whose they are.
ASIDE = ".retrieved"


@dataclass(frozen=True)
class FromArchive:
    """Images of an archive, and whether results go back there.

    Attributes:
        selection: Which images.
        store: Whether to store the DICOM results.
    """

    selection: Selection
    store: bool = True


@dataclass
class _Got:
    """What the archive gave of a unit: files, or the knowledge that its results are there already."""

    files: list[Path] = field(default_factory=list)
    results: str = ""  # as `Earlier.found` has it


class ArchiveSupply:
    """Sources from an archive.

    Args:
        wish: Which images, and whether results go back.
        model: With a job, so that results are known before they are made.
        wanted: What is to be written.
        out: Folder of the results.
        overwrite: Whether other results that are there may be replaced.
        modality: Of the pictures that the bundle is made for; see `Selection.choose`.

    Raises:
        ArchiveUnreachable, ArchiveRefusal: if the archive cannot be asked.
        MissingFile: if it has no such images.
    """

    def __init__(
        self, wish: FromArchive, model: Model, wanted: Wanted, out: Path, *, overwrite: bool, modality: str = ""
    ) -> None:
        self._wish, self._out, self._overwrite = wish, out, overwrite
        self._archive = wish.selection.open()
        self._choice: Choice = wish.selection.choose(self._archive, modality)
        self._earlier = Earlier(self._archive, model, wanted, out, store=wish.store)
        self._returning = Returning(self._archive)
        self.refused: list[Refusal] = []
        self.warnings = self._archive.warnings
        self.earlier: dict[str, str] = {}
        self.passed = 0
        self.lasting = False
        self._units = [unit for series in self._choice.images for unit in self._units_of(series)]
        self._left = len(self._units)
        self._there = 0
        self._stopped = ""
        self._stream: Generator[tuple[Unit, Future[_Got]], None, None] | None = None
        self._work = out / f"{ASIDE}-{platform.node()}-{os.getpid()}"
        self._errands: dict[str, tuple[str, list[Planned]]] = {}
        self.named = [unit.name for unit in self._units] + [one.file for one in self.refused]
        self.sources = len(self.named)
        self.slices = sum(unit.slices for unit in self._units)

    def __enter__(self) -> ArchiveSupply:
        _remove_those_of_killed(self._out)
        self._work.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self

    def __exit__(self, *error: object) -> None:
        if self._stream is not None:
            self._stream.close()
        self._archive.close()
        self._returning.drop()
        shutil.rmtree(self._work, ignore_errors=True)

    def __iter__(self) -> Iterator[Source]:
        self._stream = ahead(self._retrieved, self._units, stop=self._archive.close)
        for unit, future in self._stream:
            if self._returning.stopped:
                return
            yield from self._sources(unit, future)
            if self._stopped:
                return
            self._left -= 1

    def written(self, source: Source, masks: Sequence[Path]) -> None:
        """Store the DICOM results of a source, while the next one is segmented."""
        # For inferences of files above this folder, to which results are no images (`noted_results`).
        note_source(self._out, source.stem, Known(source.said, ""))
        study, planned = self._errands.pop(source.stem)
        if self._wish.store:
            self._returning.add(Errand(source.said, study, planned, self._earlier.files(source.stem, planned)))

    def spoken(self, text: str) -> str:
        """A message without the folder in which the images lie for a moment."""
        return text.replace(f"{self._work}{os.sep}", "")

    def finish(self) -> Returned:
        """Wait for what is still to be stored."""
        returning = self._returning
        returning.finish()
        return Returned(
            address=str(self._archive.address),
            wanted=self._wish.store,
            sources=returning.sources,
            objects=returning.objects,
            earlier=self._there,
            left_out=self._choice.describe_left_out(),
            others=self._choice.describe_others(),
            unstored=tuple(returning.unstored),
            not_done=self._left,
            stopped=self._stopped or returning.stopped,
        )

    def _units_of(self, series: Series) -> list[Unit]:
        try:
            return units_of(self._archive, series)
        except ArchiveUnreachable:
            raise
        except PlanarError as error:
            self.refused.append(Refusal(f"{series.study}/{series.uid}", str(error)))
            return []

    def _retrieved(self, unit: Unit) -> _Got:
        """The unit's files, unless its results are there already; done while the unit before is segmented."""
        results = self._earlier.found(unit.series, unit.name, unit.images)
        if results:
            return _Got(results=results)
        folder = self._work / unit.series.study / unit.series.uid
        names = [one.uid for one in unit.instances]
        return _Got(retrieve(self._archive, unit.series.study, unit.series.uid, names, folder))

    def _sources(self, unit: Unit, future: Future[_Got]) -> Iterator[Source]:
        """What there is to segment of a unit."""
        try:
            got = future.result()
        except ArchiveUnreachable as error:
            self._stopped = str(error)
            return
        except PlanarError as error:
            self._refuse(Refusal(unit.name, str(error)), unit.slices)
            return
        if got.results:
            self._pass_over(unit.series, unit.name, unit.images, got.results)
            return
        try:
            for found in sources_in(unit, got.files):
                if isinstance(found, Refusal):
                    self._refuse(Refusal(found.file, self.spoken(found.reason)), 1)
                elif isinstance(found, str):
                    self._choice.left_out[found] += 1
                    self.passed += 1
                elif self._is_new(unit, *found):
                    yield found[0]
        finally:
            for path in got.files:
                path.unlink(missing_ok=True)
            if unit.sliced:  # into that of a film another one of its series may be retrieved just now
                shutil.rmtree(self._work / unit.series.study / unit.series.uid, ignore_errors=True)

    def _is_new(self, unit: Unit, source: Source, images: Sequence[ImageName]) -> bool:
        """Whether a source is to be segmented: its results are neither there nor kept from being written."""
        # What a series of slices holds is known only now: several volumes, say.
        known = sorted(images) == sorted(unit.images)
        results = "" if known else self._earlier.found(unit.series, source.stem, images)
        if results:
            self._pass_over(unit.series, source.stem, images, results)
            return False
        planned = self._earlier.planned(unit.series, images)
        conflict = None if self._overwrite else self._earlier.conflict(source.stem, planned)
        if conflict is not None:
            self._refuse(Refusal(source.said, conflict), len(images))
            return False
        self._errands[source.stem] = (unit.series.study, planned)
        return True

    def _pass_over(self, series: Series, stem: str, images: Sequence[ImageName], results: str) -> None:
        """Do nothing with images whose results are there, but to store what was only written."""
        self.passed += len(images)
        self.earlier[stem] = stem
        if results == "written" and self._wish.store:
            planned = self._earlier.planned(series, images)
            self._returning.add(Errand(stem, series.study, planned, self._earlier.files(stem, planned)))
        else:
            self._there += 1

    def _refuse(self, refusal: Refusal, slices: int) -> None:
        self.refused.append(refusal)
        self.passed += slices


def _remove_those_of_killed(out: Path) -> None:
    """Take away images that processes of this machine left behind when they were killed."""
    import psutil

    for folder in out.glob(f"{ASIDE}-{platform.node()}-*"):
        process = folder.name.rpartition("-")[2]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            shutil.rmtree(folder, ignore_errors=True)
