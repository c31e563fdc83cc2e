"""Labels in an archive: DICOM segmentations that people drew, and of several the newest."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datalist import pixel_digest
from pipeline.dicom_seg import Annotation, read_terms, uid_from_inputs, write_seg
from pipeline.dicomweb import Archive, Query, Series, find_series, instances_of, retrieve
from pipeline.label_app.label_files import FINAL, SavedLabel
from pipeline.label_app.left_out import LeftOut
from pipeline.readers import read_picture, segmentation_of
from pipeline.tasks.infer.archive import images_of
from pipeline.tasks.infer.sources import Source

__all__ = ["ArchivedLabel", "ArchivedLabels", "write_annotation"]

FRESH_S = 30.0


@dataclass(frozen=True)
class ArchivedLabel:
    """A segmentation of an archive.

    Attributes:
        uid: SOPInstanceUID.
        path: A copy here.
        saved: When, UTC, ISO 8601.
        names: Segment number → label.
        drawn: Whether people drew it, and no model alone made it.
    """

    uid: str
    path: Path
    saved: str
    names: Mapping[str, str]
    drawn: bool

    def read(self, image: str, source: Source) -> tuple[NDArray[np.uint8], SavedLabel]:
        """What it says of an image: segment numbers in display orientation, (W, H[, D]).

        Each slice is found by its SOPInstanceUID: films have nothing else, and slices need nothing else.
        """
        planes = [
            read_picture(f"{self.path}#instance={reference}", labels=True).array for reference in _references(source)
        ]
        mask = planes[0] if len(planes) == 1 else np.stack(planes, axis=2)
        mask = mask.astype(np.uint8)
        suffix = ".png" if len(planes) == 1 else ".nii.gz"
        file = f"{FINAL}/{image}{suffix}"
        digest = pixel_digest(mask)
        return mask, SavedLabel(image, FINAL, file, digest, self.saved, "", dict(self.names), {}, self.uid)


class ArchivedLabels:
    """The segmentations of an archive: those that people drew are labels, those that models made are results.

    Args:
        archive: Where they are.
        folder: For copies.
    """

    def __init__(self, archive: Archive, folder: Path) -> None:
        self.archive, self.folder = archive, folder
        self._by_image: dict[tuple[str, bool], ArchivedLabel] = {}
        self._looked_at = -FRESH_S
        self._left_out = LeftOut("segmentations in the archive")

    def forget(self) -> None:
        """Look again the next time."""
        self._looked_at = -FRESH_S

    def newest(self, series: Series, instance: str, *, drawn: bool = True) -> ArchivedLabel | None:
        """The newest label of a series, or of one instance of it; or, not `drawn`, the newest that a model made.

        Raises: ArchiveUnreachable, ArchiveRefusal: if it cannot be had.
        """
        self._look()
        return self._by_image.get((f"{series.uid}_{instance}" if instance else series.uid, drawn))

    def _look(self) -> None:
        if time.monotonic() - self._looked_at < FRESH_S:
            return
        found: dict[tuple[str, bool], list[ArchivedLabel]] = defaultdict(list)
        for series in find_series(self.archive, Query({"Modality": ("SEG",)})):
            folder = self.folder / series.uid
            uids: list[str] = []
            with self._left_out.without(series.uid):
                uids = [one.uid for one in instances_of(self.archive, series)]
                retrieve(self.archive, series.study, series.uid, uids, folder)
            for uid in uids:  # which are there by now, except for those that the archive does not give
                with self._left_out.without(uid):
                    label, images = _label_in(uid, *retrieve(self.archive, series.study, series.uid, [uid], folder))
                    for image in images:
                        found[image, label.drawn].append(label)
        self._left_out.tell()
        self._by_image = {key: max(labels, key=lambda one: one.saved) for key, labels in found.items()}
        self._looked_at = time.monotonic()


def write_annotation(path: Path, source: Source, mask: NDArray[Any], names: Mapping[int, str], saved: str) -> None:
    """Write what people drew as a DICOM segmentation.

    Args:
        path: Of the file.
        source: The DICOM images.
        mask: (W, H[, D]), display orientation.
        names: Value → name, from 0 without gaps.
        saved: When, ISO 8601; the same saving gives the same object.
    Raises: UnsupportedImage: if no segmentation of these images can be made.
    """
    images = images_of(source)
    instance = uid_from_inputs("annotation", saved, [(str(header.SOPInstanceUID), 0) for header in images.headers])
    write_seg(path, images, mask, read_terms(names), Annotation(saved), instance=instance)


def _label_in(uid: str, path: Path) -> tuple[ArchivedLabel, set[str]]:
    """A segmentation, and the ids of the images that it is of."""
    import pydicom

    ds = pydicom.dcmread(path, stop_before_pixels=True)
    seg = segmentation_of(str(path))
    kinds = {str(item.get("SegmentAlgorithmType") or "") for item in ds.get("SegmentSequence") or ()}
    names = {str(number): name for number, name in seg.segments}
    label = ArchivedLabel(uid, path, _when(seg.made), names, not kinds <= {"AUTOMATIC"})
    series = [one for one in seg.series if one]
    return label, {*series, *(f"{one}_{instance}" for one in series for instance, _ in seg.known_images)}


def _references(source: Source) -> list[str]:
    """SOPInstanceUID of each slice; with the frame, from 1, for frames of one object."""
    from pipeline.dicom_seg import source_images

    images = source_images(source.series if source.series is not None else str(source.path))
    uids = [str(images.headers[number].SOPInstanceUID) for number, _ in images.frames]
    if images.multi_frame:
        return [f"{uid}:{frame + 1}" for uid, (_, frame) in zip(uids, images.frames, strict=True)]
    return uids


def _when(made: str) -> str:
    """ContentDate and ContentTime, which are of the local clock, as ISO 8601 in UTC."""
    digits, _, fraction = made.partition(".")
    try:
        local = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(microsecond=int((fraction + "000000")[:6] or 0))
    except ValueError:
        local = datetime(1970, 1, 1)
    return local.astimezone(UTC).isoformat(timespec="microseconds")
