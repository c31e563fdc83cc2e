"""Images of an archive, and the segmentations of them, into a folder that is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import MANUFACTURER
from pipeline.datalist import Finding
from pipeline.dicomweb import (
    Archive,
    Query,
    Selection,
    Series,
    find_series,
    instances_of,
    referenced_series,
    retrieve,
)
from pipeline.errors import ArchiveRefusal, MissingFile

__all__ = ["Downloaded", "download_set"]


@dataclass(frozen=True)
class Downloaded:
    """What lies in the folder now.

    Attributes:
        images: Folder of the images: a folder a study, in it one a series, in it files called by SOPInstanceUID.
        masks: The same of the segmentations.
        refused: What the archive did not give.
        told: What a user should know, one line each.
    """

    images: Path
    masks: Path
    refused: tuple[Finding, ...]
    told: tuple[str, ...]


def download_set(
    selection: Selection,
    folder: Path,
    *,
    masks_wanted: bool = True,
    on_progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Downloaded:
    """Retrieve what an archive has of a selection; what lies in the folder already is not retrieved again.

    Args:
        selection: Which images.
        folder: Made if missing. Its files are called by identifiers and not by patients; what is in them is as it is
            in the archive.
        masks_wanted: Whether to retrieve the segmentations of these images too.
        on_progress: Called with the stage, the number of series done, and their number.

    Raises:
        ArchiveUnreachable, ArchiveRefusal: if the archive cannot be asked, or goes away for good.
        MissingFile: if it has no such images, or no masks of them where they are wanted.
        OSError: if the folder cannot be written.
    """
    archive = selection.open()
    _remove_parts_of_killed(folder)
    try:
        choice = selection.choose(archive)
        told = list(archive.warnings)
        if choice.left_out:
            told.append(f"Left out, no images: {choice.describe_left_out()}")
        found = Downloaded(folder / "images", folder / "masks", (), ())
        refused = _retrieve_all(archive, choice.images, found.images, "Retrieving images", on_progress)
        if masks_wanted:
            masks, remarks = _segmentations_of(archive, choice.images)
            told += [f"{remark}." for remark in remarks]
            if not masks:
                own = f" but what Planar made itself ({remarks[0]})" if remarks else ""
                raise MissingFile(
                    f"{archive.address}: there is no segmentation of these {len(choice.images)} series{own}. They lie "
                    f"in {found.images} now: name the folder of their masks too, each called by the SOPInstanceUID of "
                    "its image, such as 1.2.3_mask.png for 1.2.3.dcm."
                )
            refused += _retrieve_all(archive, masks, found.masks, "Retrieving masks", on_progress)
    finally:
        archive.close()
    return Downloaded(found.images, found.masks, tuple(refused), tuple(told))


def _retrieve_all(
    archive: Archive,
    series: Sequence[Series],
    folder: Path,
    stage: str,
    on_progress: Callable[[str, int, int], None],
) -> list[Finding]:
    refused: list[Finding] = []
    for done, one in enumerate(series, 1):
        try:
            refused += _retrieve_series(archive, one, folder)
        except ArchiveRefusal as error:
            refused.append(Finding(str(folder / one.study / one.uid), "not_retrieved", str(error)))
        on_progress(stage, done, len(series))
    return refused


def _retrieve_series(archive: Archive, series: Series, folder: Path) -> list[Finding]:
    """Retrieve a series; what could not be had of it."""
    place = folder / series.study / series.uid
    names = [one.uid for one in instances_of(archive, series)]
    try:
        retrieve(archive, series.study, series.uid, names, place)
        return []
    except ArchiveRefusal:
        refused = []
    for name in names:  # one that is damaged there must not hide the others
        try:
            retrieve(archive, series.study, series.uid, [name], place)
        except ArchiveRefusal as error:
            refused.append(Finding(str(place / f"{name}.dcm"), "not_retrieved", str(error)))
    return refused


def _segmentations_of(archive: Archive, images: Iterable[Series]) -> tuple[list[Series], list[str]]:
    """The series of segmentations that refer to images, by the archive's own headers."""
    wanted = {one.uid for one in images}
    found: list[Series] = []
    own = 0
    for study in dict.fromkeys(one.study for one in images):
        for series in find_series(archive, Query({"StudyInstanceUID": (study,), "Modality": ("SEG",)})):
            if series.manufacturer == MANUFACTURER:
                own += 1
                continue
            try:
                referred = referenced_series(archive, series)
            except ArchiveRefusal:
                referred = set()  # retrieving it says what is wrong
            if not referred or not wanted.isdisjoint(referred):
                found.append(series)
    return found, [f"{own} of Planar's own segmentations left out: they are no masks to learn from"] if own else []


def _remove_parts_of_killed(folder: Path) -> None:
    """Take away what processes were writing when they were killed."""
    import psutil

    for part in folder.rglob(".part-*.dcm"):
        process = part.name.split("-")[1]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            part.unlink(missing_ok=True)
