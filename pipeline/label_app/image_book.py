"""The ids of a folder's images, which they keep for good: a series is known by its identifier, all else by its path.

    labels/images.json      id → path below the folder, or {"path": …, "series": SeriesInstanceUID}

Books of before have the path alone, of a series too: that of its folder, or of its first file where several lie there.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Known", "ids_of", "read_book", "written_book"]


@dataclass(frozen=True)
class Known:
    """An image as it is known again.

    Args:
        path: Below the folder of images.
        series: SeriesInstanceUID; "" where it is none, or of a book of before.
        folder: Of a series that is there: its folder, below that of the images.
    """

    path: str
    series: str = ""
    folder: str = ""


def ids_of(
    found: Sequence[Known], proposed: Sequence[str], book: Mapping[str, Known], fits: Callable[[str, int], bool]
) -> list[str]:
    """An id for each image that is there: the one it had, else the proposed one or, where that was given, one like it.

    Args:
        found: The images.
        proposed: An id for each.
        book: Of all ids that were given.
        fits: Whether the label of an id is of the size of an image, by its number; asked where several may be meant.
    """
    ids: dict[int, str] = {}
    # A series that moves or gets company has another path; of two stacks of one series the path says which is which.
    # The last is for books of before: the series that lay alone in its folder.
    for key_of_known, key_of_found in (
        (lambda one: one.path, lambda one: one.path),
        (lambda one: one.series, lambda one: one.series),
        (lambda one: "" if one.series else one.path, lambda one: one.folder),
    ):
        by_key: dict[str, list[int]] = defaultdict(list)
        for number, one in enumerate(found):
            by_key[key_of_found(one)].append(number)
        has_image = set(ids.values())
        for name, known in book.items():
            key = key_of_known(known)
            if not key or name in has_image:
                continue
            may_be = [
                number
                for number in by_key.get(key, ())
                if number not in ids and known.series in ("", found[number].series)
            ]
            if may_be:
                fitting = [number for number in may_be if len(may_be) > 1 and fits(name, number)]
                ids[(fitting or may_be)[0]] = name
    taken = set(book)
    for number, name in enumerate(proposed):
        if number not in ids:
            free, count = name, 2
            while free in taken:
                free, count = f"{name}_{count}", count + 1
            ids[number] = free
            taken.add(free)
    return [ids[number] for number in range(len(found))]


def read_book(path: Path) -> dict[str, Known]:
    """The book; empty if there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: Known(one) if isinstance(one, str) else Known(one["path"], one["series"])
            for name, one in content.items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def written_book(book: Mapping[str, Known]) -> str:
    """Its text."""
    content = {
        name: {"path": known.path, "series": known.series} if known.series else known.path
        for name, known in book.items()
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
