"""Images of a DICOMweb archive: series by their identifiers, labels stored beside them as DICOM segmentations."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monailabel.config import settings
from numpy.typing import NDArray

from pipeline.dicomweb import Address, Archive, Patience, Query, Series, find_series, instances_of, retrieve, store
from pipeline.dicomweb.query import is_uid
from pipeline.errors import ArchiveUnreachable, InvalidOption, MissingFile, PlanarError
from pipeline.label_app.archived_labels import ArchivedLabels, write_annotation
from pipeline.label_app.images import LabelledImages
from pipeline.label_app.label_files import FINAL, LabelFiles, SavedLabel
from pipeline.label_app.left_out import LeftOut
from pipeline.readers import DicomSeries, Picture, group_series, slices_in
from pipeline.tasks.infer.sources import Source

__all__ = ["ArchiveImages", "open_archive"]

# A client waits for an answer: an archive that is away is told, and not waited for.
PATIENCE = Patience(connect_s=3.0, read_s=30.0, away_s=4.0)
# One that takes connections and then says nothing is away too.
CHECK_S = 3.0
# What was found stays for so long, s: a longer time would offer images that someone has just labelled.
FRESH_S = 5.0
# Objects that are no images.
OTHERS = frozenset({"SEG", "SR", "PR", "KO", "RTSTRUCT", "RTPLAN", "RTDOSE", "REG", "DOC", "AU", "ECG", "FID", "RWV"})
# Whose series hold films, each an image of its own, and no slices of one volume.
FILMS = frozenset({"CR", "DX", "MG", "RG", "IO", "PX", "XC", "OP", "GM", "SM", "OT"})


class ArchiveImages(LabelledImages):
    """The images of an archive.

    An image's id is its SeriesInstanceUID, as OHIF has it; of a series with several films `<series>_<instance>`.

    Args:
        archive: Where they are.
        wanted: What to look for: keyword → values.
        folder: For copies; they hold patients' data and nobody else may read them.
        classes: Class index → name: how labels are numbered, and what a value is that a client has not named.
        as_nifti: Whether viewers get NIfTI and not the folder of the DICOM files.
    """

    def __init__(
        self,
        archive: Archive,
        wanted: Mapping[str, tuple[str, ...]],
        folder: Path,
        classes: Mapping[int, str],
        *,
        as_nifti: bool = True,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        super().__init__(str(archive.address), LabelFiles(folder / "labels"), folder, classes)
        self.archive, self.wanted, self.as_nifti = archive, dict(wanted), as_nifti
        self._lock = threading.RLock()
        self._found: dict[str, tuple[Series, str]] = {}
        self._found_at = -FRESH_S
        self._sources: dict[str, Source] = {}
        self._fetching: dict[str, threading.Lock] = {}
        # A lock of its own: who fetches asks too, and others may wait for what is fetched.
        self._asking = threading.Lock()
        self._asked: tuple[float, str] = (-FRESH_S, "")
        self._archived = ArchivedLabels(archive, folder / "segmentations")
        self._left_out = LeftOut("labels of images in the archive")
        self._not_listed = LeftOut("series in the archive")

    def why_not(self) -> str:
        """Why the archive cannot be used now; "" if it can. Asked once in a while."""
        with self._asking:
            when, said = self._asked
            if time.monotonic() - when > (1.0 if said else FRESH_S):
                try:
                    self.archive.check(CHECK_S)
                    said = ""
                except PlanarError as error:
                    said = str(error)
                self._asked = (time.monotonic(), said)
            return said

    def list_images(self) -> list[str]:
        """The ids of all images, in the archive's order.

        Raises: ArchiveUnreachable: if the archive is away.
        """
        self.refresh()
        return list(self._found)

    def refresh(self) -> None:
        """Look again for images, if the last time was some seconds ago."""
        with self._lock:
            if time.monotonic() - self._found_at < FRESH_S:
                return
            self._require_archive()
            found: dict[str, tuple[Series, str]] = {}
            for series in find_series(self.archive, Query(self.wanted)):
                if series.modality in OTHERS:
                    continue
                several = series.modality in FILMS and (series.count is None or series.count > 1)
                with self._not_listed.without(series.uid):
                    uids = [one.uid for one in instances_of(self.archive, series)] if several else []
                    if len(uids) > 1:
                        found |= {f"{series.uid}_{uid}": (series, uid) for uid in uids}
                    else:
                        found[series.uid] = (series, "")
            self._not_listed.tell()
            self._found, self._found_at = found, time.monotonic()
            self._take_labels()

    def source(self, image_id: str) -> Source:
        """The image itself, from the archive the first time.

        Raises:
            MissingFile: if there is none of this id.
            ArchiveUnreachable, ArchiveRefusal: if it cannot be had.
        """
        if image_id in self._sources:
            return self._sources[image_id]
        with self._lock:
            series, instance = self._series_of(image_id)
            fetching = self._fetching.setdefault(series.uid, threading.Lock())
        with fetching:  # others go on with other series
            if image_id not in self._sources:
                self._require_archive()
                uids = [instance] if instance else [one.uid for one in instances_of(self.archive, series)]
                files = retrieve(self.archive, series.study, series.uid, uids, self.cache / "images" / series.uid)
                self._sources[image_id] = _one_image(image_id, [str(file) for file in files])
            return self._sources[image_id]

    def get_image_uri(self, image_id: str) -> str:
        """A NIfTI file, or the folder of the DICOM files if the server is not to convert (films: the file)."""
        if self.as_nifti:
            return super().get_image_uri(image_id)
        source = self.source(image_id)
        return source.series.folder if source.series is not None else str(source.path)

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """What clients are told of an image, which is not fetched for it; OHIF opens a study by what is said here."""
        series, _ = self._series_of(image_id)
        told = {"Modality": series.modality, "StudyInstanceUID": series.study, "SeriesInstanceUID": series.uid}
        return {"name": f"{image_id}.nii.gz", **told, **self.noted(image_id)}

    def archived(self, image_id: str, picture: Picture, mask: Any, label: SavedLabel) -> str:
        """Store a final label as a DICOM segmentation; the same saving gives the same object."""
        self._require_archive()
        source = self.source(image_id)
        study = self._series_of(image_id)[0].study
        with tempfile.TemporaryDirectory(prefix="planar-") as folder:
            path = Path(folder) / "label.dcm"
            write_annotation(path, source, mask, self._named(mask, label.names), label.saved)
            stored = store(self.archive, path, study)
        self._archived.forget()
        return stored.instance

    def stored_result(self, image_id: str) -> tuple[NDArray[np.uint8], SavedLabel] | None:
        """The newest segmentation that a model made and somebody stored (`planar infer --format dicomseg`)."""
        newest = self._archived.newest(*self._series_of(image_id), drawn=False)
        return newest.read(image_id, self.source(image_id)) if newest is not None else None

    def _named(self, mask: NDArray[Any], names: Mapping[str, str]) -> dict[int, str]:
        """A name for each value up to the highest, for segments are numbered without gaps."""
        highest = max(1, int(mask.max(initial=0)))
        said = {number: names.get(str(number)) or self.classes.get(number) for number in range(1, highest + 1)}
        return {0: "background", **{number: name or f"segment {number}" for number, name in said.items()}}

    def _take_labels(self) -> None:
        """Take over the newest labels that the archive has and this server has not: another server's, or its own.

        What was removed here stays in the archive, which nobody asks to delete, and does not come back from there.
        """
        for image, (series, instance) in self._found.items():
            newest = self._archived.newest(series, instance)
            seen = (self.labels.of(image, FINAL), self.labels.removed(image, FINAL))
            if newest is None or any(label is not None and label.saved >= newest.saved for label in seen):
                continue
            with self._left_out.without(f"{newest.uid} of {image}"):
                source = self.source(image)
                mask, label = newest.read(image, source)
                self.labels.keep(label, mask, source.picture())
        self._left_out.tell()

    def _series_of(self, image_id: str) -> tuple[Series, str]:
        if image_id not in self._found:
            if not all(is_uid(part) for part in image_id.split("_")):
                raise MissingFile("The archive knows images by their SeriesInstanceUID; that is none.")
            self._found_at = -FRESH_S
            self.refresh()
        if image_id not in self._found:
            raise MissingFile(f"There is no image {image_id} among those that the server looks for in the archive.")
        return self._found[image_id]

    def _require_archive(self) -> None:
        if reason := self.why_not():
            raise ArchiveUnreachable(reason)


def open_archive(address: str, folder: Path, classes: Mapping[int, str]) -> ArchiveImages:
    """The images of an archive, by MONAI Label's settings; whether it is there is asked when something is wanted.

    Args:
        address: Of the archive.
        folder: Working folder of the server.
        classes: As `ArchiveImages` has it.
    Raises: InvalidOption: for an address, a filter or credentials that cannot be used.
    """
    archive = Archive(Address.parse(address), patience=PATIENCE)
    wanted = {name: _values(value) for name, value in settings.MONAI_LABEL_DICOMWEB_SEARCH_FILTER.items()}
    place = os.environ.get("MONAI_LABEL_DICOMWEB_CACHE_PATH") or str(folder / "cache" / "archive")
    as_nifti = settings.MONAI_LABEL_DICOMWEB_CONVERT_TO_NIFTI
    return ArchiveImages(archive, wanted, Path(place), classes, as_nifti=as_nifti)


def _values(value: Any) -> tuple[str, ...]:
    """The values of a filter; several modalities in one text, with a comma or DICOM's backslash."""
    parts = value if isinstance(value, (list, tuple)) else str(value).replace("\\", ",").split(",")
    return tuple(str(part).strip() for part in parts)


def _one_image(image_id: str, files: list[str]) -> Source:
    entries = group_series(files)
    volumes = [entry for entry in entries if isinstance(entry, DicomSeries)]
    if len(volumes) == 1:  # localisers beside it are no part of it
        return Source(Path(volumes[0].folder), list(volumes[0].files), volumes[0], image_id)
    if len(entries) == 1 and isinstance(entries[0], str):
        return Source(Path(entries[0]), slices_in(entries[0]), None, image_id)
    raise InvalidOption(f"Series {image_id} holds {len(entries)} images; expected a film or one volume.")
