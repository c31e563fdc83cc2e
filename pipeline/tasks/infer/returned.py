"""Results on their way back into the archive that the images came from."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from pipeline.dicomweb import Archive, Behind, present, store
from pipeline.errors import ArchiveUnreachable, PlanarError
from pipeline.tasks.infer.planned import Planned
from pipeline.tasks.infer.sources import Refusal

__all__ = ["Errand", "Returned", "Returning"]


@dataclass(frozen=True)
class Returned:
    """What came of an archive's images.

    Attributes:
        address: Of the archive, without a password.
        wanted: Whether results were to be stored.
        sources: Sources whose results were stored now, and found in their study.
        objects: DICOM objects stored now.
        earlier: Sources whose results were there before.
        left_out: Series that are no images, in words; "" if there were none.
        others: Series of images that the bundle is not made for, in words; "" if there were none.
        unstored: Results that were made and not stored, and why.
        not_done: Images that nothing was done with, because the archive stopped answering.
        stopped: Why it ended early; "" if it did not.
    """

    address: str
    wanted: bool
    sources: int = 0
    objects: int = 0
    earlier: int = 0
    left_out: str = ""
    others: str = ""
    unstored: tuple[Refusal, ...] = ()
    not_done: int = 0
    stopped: str = ""


@dataclass(frozen=True)
class Errand:
    """Results of one source that are to be stored.

    Attributes:
        name: Of the source.
        study: StudyInstanceUID that they must be in.
        planned: Which objects they are.
        files: DICOM files.
    """

    name: str
    study: str
    planned: Sequence[Planned]
    files: Sequence[Path]


class Returning:
    """Stores results one after the other while the next image is segmented.

    Args:
        archive: Which is to have them.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._behind = Behind(self._store, self._note)
        self.sources = self.objects = 0
        self.unstored: list[Refusal] = []
        self.stopped = ""

    def add(self, errand: Errand) -> None:
        """Hand over the results of a source."""
        self._behind.add(errand)

    def finish(self) -> None:
        """Wait for the rest."""
        self._behind.finish()

    def drop(self) -> None:
        """Begin with nothing more."""
        self._behind.drop()

    def _store(self, errand: Errand) -> int:
        """Store what the archive does not have; the number of objects.

        Raises: PlanarError: for the first that the archive does not take.
        """
        there: set[str] = set()
        if len(errand.files) > 1:  # else storing it finds out
            for planned in errand.planned:
                there |= present(self._archive, errand.study, planned.series, planned.instances)
        new = [path for path in errand.files if not there or instance_of(path) not in there]
        for path in new:
            store(self._archive, path, errand.study)
        return len(new)

    def _note(self, errand: Errand, future: Future[int]) -> None:
        try:
            self.objects += future.result()
            self.sources += 1
        except (PlanarError, OSError) as error:
            if isinstance(error, ArchiveUnreachable) and not self.stopped:
                self.stopped = str(error)
                self._archive.close()  # what waits need not wait as long again
            self.unstored.append(Refusal(errand.name, str(error)))


def instance_of(path: Path) -> str:
    """SOPInstanceUID of a file; "" if it is no DICOM."""
    import pydicom

    try:
        ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"], force=True)
    except Exception:  # whatever a library says of bytes that are none
        return ""
    return str(ds.get("SOPInstanceUID") or "")
