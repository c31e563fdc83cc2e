"""Images of an archive as sources: one retrieved while the one before is segmented, and gone when it is done."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.dicomweb import (
    OWN,
    Instance,
    Selection,
    Series,
    ahead,
    are_slices,
    instances_of,
    present,
    retrieve,
)
from pipeline.errors import ArchiveUnreachable, NoPicture, OutputExists, PlanarError
from pipeline.readers import DicomSeries, group_series, header_value, slices_in
from pipeline.tasks.infer.archive import Model
from pipeline.tasks.infer.planned import Planned, planned_results
from pipeline.tasks.infer.returned import Errand, Returned, Returning, instance_of
from pipeline.tasks.infer.sources import RESULTS, Refusal, Source, reason
from pipeline.tasks.infer.wanted import Wanted

__all__ = ["ArchiveSupply", "FromArchive"]

# The retrieved images lie in the output folder, where there is room, under a name that says whose they are.
ASIDE = ".retrieved"
ENDS = {"dicomseg": "_seg.dcm", "sc": "_sc.dcm"}


@dataclass(frozen=True)
class FromArchive:
    """Images of an archive, and whether results go back there.

    Attributes:
        selection: Which images.
        store: Whether to store the DICOM results.
    """

    selection: Selection
    store: bool = True


@dataclass(frozen=True)
class _Unit:
    """What is retrieved at once: a film, or a series of slices.

    Attributes:
        series: The series that it is, or is of.
        instances: Its instances.
        sliced: Whether they are slices.
    """

    series: Series
    instances: tuple[Instance, ...]
    sliced: bool

    @property
    def name(self) -> str:
        """What the results are called, and messages call it: identifiers, which say nothing of the patient."""
        return f"{self.series.study}/{self.series.uid if self.sliced else self.instances[0].uid}"

    @property
    def slices(self) -> int:
        """Pictures in it."""
        return sum(one.frames for one in self.instances)

    @property
    def images(self) -> list[tuple[str, int]]:
        """Each image by SOPInstanceUID and frame."""
        return [(one.uid, frame) for one in self.instances for frame in range(one.frames)]


@dataclass
class _Got:
    """What the archive gave of a unit: files, or the knowledge that its results are there already."""

    files: list[Path] = field(default_factory=list)
    results: str = ""  # "stored" in the archive, "written" in the output folder


class ArchiveSupply:
    """Sources from an archive.

    Args:
        wish: Which images, and whether results go back.
        model: With a job, so that results are known before they are made.
        wanted: What is to be written.
        out: Folder of the results.
        overwrite: Whether other results that are there may be replaced.

    Raises:
        ArchiveUnreachable, ArchiveRefusal: if the archive cannot be asked.
        MissingFile: if it has no such images.
    """

    def __init__(self, wish: FromArchive, model: Model, wanted: Wanted, out: Path, *, overwrite: bool) -> None:
        self._wish, self._model, self._wanted, self._out, self._overwrite = wish, model, wanted, out, overwrite
        self._archive = wish.selection.open()
        choice = wish.selection.choose(self._archive)
        self._left_out = choice.left_out
        self._returning = Returning(self._archive)
        self.refused: list[Refusal] = []
        self.warnings = self._archive.warnings
        self.earlier: list[str] = []
        self.passed = 0
        self._units = [unit for series in choice.images for unit in self._units_of(series)]
        self._left = len(self._units)
        self._there = 0
        self._stopped = ""
        self._stream: Generator[tuple[_Unit, Future[_Got]], None, None] | None = None
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
        study, planned = self._errands.pop(source.stem)
        if self._wish.store:
            self._returning.add(Errand(source.said, study, planned, self._files(source.stem, planned)))

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
            left_out=", ".join(f"{count} {what}" for what, count in sorted(self._left_out.items())),
            unstored=tuple(returning.unstored),
            not_done=self._left,
            stopped=self._stopped or returning.stopped,
        )

    def _units_of(self, series: Series) -> list[_Unit]:
        try:
            instances = instances_of(self._archive, series)
        except ArchiveUnreachable:
            raise
        except PlanarError as error:
            self.refused.append(Refusal(f"{series.study}/{series.uid}", str(error)))
            return []
        if not instances:
            return []
        if are_slices(series, instances):
            return [_Unit(series, tuple(instances), True)]
        return [_Unit(series, (one,), False) for one in instances]

    def _retrieved(self, unit: _Unit) -> _Got:
        """The unit's files, unless its results are there already; done while the unit before is segmented."""
        results = self._results_of(unit.series, unit.name, unit.images)
        if results:
            return _Got(results=results)
        folder = self._work / unit.series.study / unit.series.uid
        names = [one.uid for one in unit.instances]
        return _Got(retrieve(self._archive, unit.series.study, unit.series.uid, names, folder))

    def _results_of(self, series: Series, stem: str, images: Sequence[tuple[str, int]]) -> str:
        """Where the results of some images are already: "stored", "written" or ""."""
        planned = planned_results(self._model, self._wanted, series.uid, images)
        if not planned:
            return ""
        if self._wish.store and all(
            present(self._archive, series.study, one.series, one.instances) == one.instances for one in planned
        ):
            return "stored"
        files = self._files(stem, planned)
        made = {instance_of(path) for path in files}
        return "written" if made == frozenset().union(*(one.instances for one in planned)) else ""

    def _sources(self, unit: _Unit, future: Future[_Got]) -> Iterator[Source]:
        """What there is to segment of a unit."""
        try:
            got = future.result()
        except ArchiveUnreachable as error:
            self._stopped = str(error)
            return
        except PlanarError as error:
            self._refuse(unit.name, str(error), unit.slices)
            return
        if got.results:
            self._pass_over(unit.series, unit.name, unit.images, got.results)
            return
        try:
            for source, images in self._grouped(unit, got.files):
                # What a series of slices holds is known only now: several volumes, say.
                known = sorted(images) == sorted(unit.images)
                results = "" if known else self._results_of(unit.series, source.stem, images)
                if results:
                    self._pass_over(unit.series, source.stem, images, results)
                    continue
                planned = planned_results(self._model, self._wanted, unit.series.uid, images)
                if (conflict := self._conflict(source, planned)) is not None:
                    self._refuse(source.said, conflict, len(images))
                    continue
                self._errands[source.stem] = (unit.series.study, planned)
                yield source
        finally:
            for path in got.files:
                path.unlink(missing_ok=True)
            if unit.sliced:  # into that of a film another one of its series may be retrieved just now
                shutil.rmtree(self._work / unit.series.study / unit.series.uid, ignore_errors=True)

    def _grouped(self, unit: _Unit, files: Sequence[Path]) -> Iterator[tuple[Source, list[tuple[str, int]]]]:
        """The volumes and films of a unit, each with its images."""
        entries = group_series(str(path) for path in files)
        whole = len(entries) == 1
        for number, entry in enumerate(entries, 1):
            if isinstance(entry, DicomSeries):
                stem = unit.name if whole else f"{unit.name}_{number}"
                yield (
                    Source(Path(entry.folder), list(entry.files), entry, stem, stem),
                    [(_uid_of(file), 0) for file in entry.files],
                )
                continue
            stem = f"{unit.series.study}/{_uid_of(entry)}"
            try:
                if not unit.series.manufacturer and header_value(entry, "Manufacturer") == OWN:
                    self._left_out["results of Planar"] += 1
                    self.passed += 1
                    continue
                slices = slices_in(entry)
            except NoPicture:  # the archive did not say what it is
                self._left_out["of no modality"] += 1
                self.passed += 1
                continue
            except (PlanarError, OSError) as error:
                self._refuse(stem, self.spoken(reason(error, entry)), 1)
                continue
            yield Source(Path(entry), slices, None, stem, stem), [(_uid_of(entry), k) for k in range(len(slices))]

    def _pass_over(self, series: Series, stem: str, images: Sequence[tuple[str, int]], results: str) -> None:
        """Do nothing with images whose results are there, but to store what was only written."""
        self.passed += len(images)
        self.earlier.append(stem)
        if results == "written" and self._wish.store:
            planned = planned_results(self._model, self._wanted, series.uid, images)
            self._returning.add(Errand(stem, series.study, planned, self._files(stem, planned)))
        else:
            self._there += 1

    def _conflict(self, source: Source, planned: Sequence[Planned]) -> str | None:
        """Why the results of a source cannot be written, if others are there that may not be replaced.

        What a killed process left of the same results is not in the way.
        """
        if self._overwrite:
            return None
        if planned:
            others = [(path, one) for one in planned for path in self._files(source.stem, [one])]
            there = [path for path, one in others if instance_of(path) not in one.instances]
        else:
            there = [path for end in RESULTS if (path := self._out / f"{source.stem}{end}").exists()]
        if not there:
            return None
        told = f"{there[0]} exists and was made by another model or with other settings. "
        return str(OutputExists(told + "Give --overwrite, or another -o."))

    def _files(self, stem: str, planned: Sequence[Planned]) -> list[Path]:
        """The DICOM results of a source that lie in the output folder."""
        files: list[Path] = []
        for one in planned:
            path = self._out / f"{stem}{ENDS[one.kind]}"
            folder = path.with_suffix("")
            files += sorted(folder.iterdir()) if folder.is_dir() else [path] if path.is_file() else []
        return files

    def _refuse(self, name: str, why: str, slices: int) -> None:
        self.refused.append(Refusal(name, why))
        self.passed += slices


def _uid_of(file: str) -> str:
    """SOPInstanceUID of a retrieved file, which is called by it."""
    return Path(file).name.removesuffix(".dcm")


def _remove_those_of_killed(out: Path) -> None:
    """Take away images that processes of this machine left behind when they were killed."""
    import psutil

    for folder in out.glob(f"{ASIDE}-{platform.node()}-*"):
        process = folder.name.rpartition("-")[2]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            shutil.rmtree(folder, ignore_errors=True)
