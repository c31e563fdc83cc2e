"""What is retrieved of an archive at once, a film or a series of slices, and what there is to segment in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import MANUFACTURER
from pipeline.dicomweb import Archive, Instance, Series, are_slices, instances_of
from pipeline.errors import NoPicture, PlanarError
from pipeline.readers import DicomSeries, group_series, header_value, slices_in
from pipeline.tasks.infer.sources import Refusal, Source, reason

__all__ = ["ImageName", "Unit", "sources_in", "units_of"]

# SOPInstanceUID and frame.
ImageName = tuple[str, int]


@dataclass(frozen=True)
class Unit:
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
    def images(self) -> list[ImageName]:
        """Each image by SOPInstanceUID and frame."""
        return [(one.uid, frame) for one in self.instances for frame in range(one.frames)]


def units_of(archive: Archive, series: Series) -> list[Unit]:
    """The units of a series; none if the archive lists no instances of it.

    Raises: ArchiveUnreachable, ArchiveRefusal: if it cannot be asked.
    """
    instances = instances_of(archive, series)
    if not instances:
        return []
    if are_slices(series, instances):
        return [Unit(series, tuple(instances), True)]
    return [Unit(series, (one,), False) for one in instances]


def sources_in(unit: Unit, files: Sequence[Path]) -> Iterator[tuple[Source, list[ImageName]] | Refusal | str]:
    """The volumes and films of a unit that has been retrieved, each with its images.

    Args:
        unit: The unit.
        files: Its files, which are called by their SOPInstanceUID.
    Returns: A refusal in place of a file that cannot be read, and words in place of one that is no image.
    """
    entries = group_series(str(path) for path in files)
    for number, entry in enumerate(entries, 1):
        if isinstance(entry, DicomSeries):
            stem = unit.name if len(entries) == 1 else f"{unit.name}_{number}"
            source = Source(Path(entry.folder), list(entry.files), entry, stem, stem)
            yield source, [(_uid_of(file), 0) for file in entry.files]
            continue
        stem = f"{unit.series.study}/{_uid_of(entry)}"
        try:
            if not unit.series.manufacturer and header_value(entry, "Manufacturer") == MANUFACTURER:
                yield "results of Planar"
                continue
            slices = slices_in(entry)
        except NoPicture:  # the archive did not say what it is
            yield "of no modality"
            continue
        except (PlanarError, OSError) as error:
            yield Refusal(stem, reason(error, entry))
            continue
        yield Source(Path(entry), slices, None, stem, stem), [(_uid_of(entry), k) for k in range(len(slices))]


def _uid_of(file: str) -> str:
    """SOPInstanceUID of a retrieved file, which is called by it."""
    return Path(file).name.removesuffix(".dcm")
