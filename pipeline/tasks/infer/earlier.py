"""Which results of an archive's images are there already: in the archive, or in the output folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.dicomweb import Archive, Series, present
from pipeline.errors import OutputExists
from pipeline.tasks.infer.archive import Model
from pipeline.tasks.infer.planned import Planned, planned_results
from pipeline.tasks.infer.returned import instance_of
from pipeline.tasks.infer.sources import RESULTS
from pipeline.tasks.infer.units import ImageName
from pipeline.tasks.infer.wanted import Wanted

__all__ = ["Earlier"]

ENDS = {"dicomseg": "_seg.dcm", "sc": "_sc.dcm"}


class Earlier:
    """Knows results before they are made, and looks whether they are there.

    Args:
        archive: Of the images.
        model: With a job.
        wanted: What is to be written.
        out: The output folder.
        store: Whether results go into the archive.
    """

    def __init__(self, archive: Archive, model: Model, wanted: Wanted, out: Path, *, store: bool) -> None:
        self._archive, self._model, self._wanted, self._out, self._store = archive, model, wanted, out, store

    def planned(self, series: Series, images: Sequence[ImageName]) -> list[Planned]:
        """The DICOM objects that some images of a series will have, a kind each."""
        return planned_results(self._model, self._wanted, series.uid, images)

    def found(self, series: Series, stem: str, images: Sequence[ImageName]) -> str:
        """Where the results of some images are already: "stored" in the archive, "written" in the folder, or "".

        What no archive takes (overlays, tables) must lie in the folder, if it is asked for.

        Raises: ArchiveUnreachable, ArchiveRefusal: if the archive cannot be asked.
        """
        planned = self.planned(series, images)
        if not planned or self._wanted.lacks(self._out / stem):
            return ""
        if self._store and all(
            present(self._archive, series.study, one.series, one.instances) == one.instances for one in planned
        ):
            return "stored"
        made = {instance_of(path) for path in self.files(stem, planned)}
        return "written" if made == frozenset().union(*(one.instances for one in planned)) else ""

    def files(self, stem: str, planned: Sequence[Planned]) -> list[Path]:
        """The DICOM results of a source that lie in the output folder."""
        files: list[Path] = []
        for one in planned:
            path = self._out / f"{stem}{ENDS[one.kind]}"
            folder = path.with_suffix("")
            files += sorted(folder.iterdir()) if folder.is_dir() else [path] if path.is_file() else []
        return files

    def conflict(self, stem: str, planned: Sequence[Planned]) -> str | None:
        """Why the results of a source may not be written, if others are there.

        What a killed process left of the same results is not in the way.
        """
        if planned:
            others = [(path, one) for one in planned for path in self.files(stem, [one])]
            there = [path for path, one in others if instance_of(path) not in one.instances]
            # And what this inference would not write, and so would remove.
            ends = self._wanted.ends
            there += [path for end in RESULTS if end not in ends and (path := self._out / f"{stem}{end}").is_file()]
        else:
            there = [path for end in RESULTS if (path := self._out / f"{stem}{end}").exists()]
        if not there:
            return None
        told = f"{there[0]} exists and was made of other images, by another model or with other settings. "
        return str(OutputExists(told + "Give --overwrite, or another -o."))
