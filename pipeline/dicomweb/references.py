"""Which series the objects of a series were made from, without retrieving them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.dicomweb.archive import Archive
from pipeline.dicomweb.listing import Series, value_of

__all__ = ["referenced_series"]

REFERENCED_SERIES_SEQUENCE = "00081115"


def referenced_series(archive: Archive, series: Series) -> set[str]:
    """SeriesInstanceUIDs that segmentations, or other objects, refer to; none where they do not say it.

    Raises: ArchiveUnreachable, ArchiveRefusal: as `Archive.ask`.
    """
    what = f"the headers of series {series.uid} cannot be had"
    headers = archive.ask(what, lambda: archive.client.retrieve_series_metadata(series.study, series.uid))
    return {
        value_of(item, "SeriesInstanceUID")
        for header in headers
        for item in _items(header.get(REFERENCED_SERIES_SEQUENCE))
    } - {""}


def _items(element: Any) -> list[Mapping[str, Any]]:
    values = element.get("Value") if isinstance(element, Mapping) else None
    return [item for item in values if isinstance(item, Mapping)] if isinstance(values, list) else []
