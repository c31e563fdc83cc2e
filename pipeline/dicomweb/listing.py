"""What an archive holds: series that a query finds, and the instances of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from pipeline.dicomweb.archive import Archive
from pipeline.dicomweb.query import Query, is_uid

__all__ = ["Instance", "Series", "find_series", "instances_of", "listed", "value_of"]

Item = Mapping[str, Any]
# Called with the number to find at most, and the number to pass over.
Search = Callable[[int, int], Sequence[Item]]

PAGE = 500
SERIES_FIELDS = ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "Manufacturer", "NumberOfSeriesRelatedInstances")
INSTANCE_FIELDS = ("SOPInstanceUID", "SOPClassUID", "NumberOfFrames")
# What is checked again in each answer: an archive that does not know a keyword finds everything.
CHECKED = ("StudyInstanceUID", "SeriesInstanceUID", "Modality")


@dataclass(frozen=True)
class Series:
    """A series as a search finds it.

    Attributes:
        study: StudyInstanceUID.
        uid: SeriesInstanceUID.
        modality: Such as "DX"; "" where the archive does not say it.
        manufacturer: Of the equipment, or "".
        count: Instances in it, or None where the archive does not say it.
    """

    study: str
    uid: str
    modality: str
    manufacturer: str
    count: int | None


@dataclass(frozen=True)
class Instance:
    """An instance as a search finds it.

    Attributes:
        uid: SOPInstanceUID.
        sop_class: SOPClassUID, or "".
        frames: Frames in it.
    """

    uid: str
    sop_class: str
    frames: int


def find_series(archive: Archive, query: Query) -> list[Series]:
    """All series that a query finds, each once, in the archive's order.

    Raises: ArchiveUnreachable, ArchiveRefusal: as `Archive.ask`.
    """
    found: dict[tuple[str, str], Series] = {}
    for filters in query.searches():
        study = filters.get("StudyInstanceUID")
        others = {name: value for name, value in filters.items() if name != "StudyInstanceUID"}

        def search(limit: int, offset: int, study: str | None = study, others: Mapping[str, str] = others) -> Any:
            return archive.client.search_for_series(
                study, fields=SERIES_FIELDS, search_filters=dict(others), limit=limit, offset=offset
            )

        for item in listed(archive, "series cannot be searched for", search, "SeriesInstanceUID"):
            one = _series(item, study)
            if is_uid(one.study) and is_uid(one.uid) and _matches(item, filters, one):
                found.setdefault((one.study, one.uid), one)
    return list(found.values())


def instances_of(archive: Archive, series: Series) -> list[Instance]:
    """The instances of a series.

    Raises: ArchiveUnreachable, ArchiveRefusal: as `Archive.ask`.
    """

    def search(limit: int, offset: int) -> Any:
        return archive.client.search_for_instances(
            series.study, series.uid, fields=INSTANCE_FIELDS, limit=limit, offset=offset
        )

    what = f"series {series.uid} cannot be listed"
    found = [
        Instance(value_of(item, "SOPInstanceUID"), value_of(item, "SOPClassUID"), _number(item, "NumberOfFrames") or 1)
        for item in listed(archive, what, search, "SOPInstanceUID", expected=series.count)
    ]
    return [one for one in found if is_uid(one.uid)]


def listed(archive: Archive, what: str, search: Search, key: str, expected: int | None = None) -> list[Item]:
    """All that a search finds, page by page.

    A short page does not mean that it was the last one, for archives have limits of their own; an archive that does
    not know `offset` gives the first page again, so that one with nothing new is the last.

    Args:
        archive: Which is asked.
        what: As `Archive.ask` has it.
        search: One page.
        key: Keyword of the identifier by which answers are told apart.
        expected: Number that there is, which saves the last question; None if that is not known.
    """
    found: dict[str, Item] = {}
    offset = 0
    while True:
        page = archive.ask(what, partial(search, PAGE, offset))
        fresh = {value_of(item, key): item for item in page if value_of(item, key) not in found}
        found |= fresh
        offset += len(page)
        if not fresh or (expected is not None and len(found) >= expected):
            return list(found.values())


def value_of(item: Item, keyword: str) -> str:
    """The first value of an element of DICOM JSON as text; "" where it is missing."""
    from pydicom.datadict import tag_for_keyword

    element = item.get(f"{tag_for_keyword(keyword):08X}")
    values = element.get("Value") if isinstance(element, Mapping) else None
    first = values[0] if isinstance(values, list) and values else None
    return "" if first is None or isinstance(first, Mapping) else str(first).strip(" \0")


def _series(item: Item, study: str | None) -> Series:
    return Series(
        study=value_of(item, "StudyInstanceUID") or study or "",
        uid=value_of(item, "SeriesInstanceUID"),
        modality=value_of(item, "Modality"),
        manufacturer=value_of(item, "Manufacturer"),
        count=_number(item, "NumberOfSeriesRelatedInstances"),
    )


def _matches(item: Item, filters: Mapping[str, str], found: Series) -> bool:
    """Whether a series is what was searched for, as far as the answer says it."""
    said = {"StudyInstanceUID": found.study, "SeriesInstanceUID": found.uid, "Modality": found.modality}
    if not all(fnmatchcase(said[name], filters[name]) for name in CHECKED if name in filters and said[name]):
        return False
    date = value_of(item, "StudyDate")
    return not date or "StudyDate" not in filters or _within(date, filters["StudyDate"])


def _within(date: str, wanted: str) -> bool:
    first, dash, last = wanted.partition("-")
    return first <= date <= (last or "99999999") if dash else date == wanted


def _number(item: Item, keyword: str) -> int | None:
    said = value_of(item, keyword)
    return int(said) if said.isdecimal() else None
