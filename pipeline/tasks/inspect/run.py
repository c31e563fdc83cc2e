"""The way from a datalist to its fingerprint."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.atomic import write_text_aside
from pipeline.cores import usable_cores
from pipeline.datalist import Datalist, Finding, load_cases, read_datalist, subject_of
from pipeline.errors import InvalidDatalist, OutputExists
from pipeline.fingerprint import CaseFigures, Fingerprint, Gatherer, Histogram, SetFacts, near_duplicates, order_of
from pipeline.fingerprint.thumbnails import SIDE
from pipeline.fragments import FRAGMENT
from pipeline.readers import natural_order, volume_of
from pipeline.split import PARTS
from pipeline.tasks.index.parallel import map_in_order
from pipeline.tasks.inspect.measuring import Look, Seen, look_at, looks_of

__all__ = ["Inspected", "Inspection", "fingerprint_of", "inspect_set"]

# What a bundle is planned from. The test part is not looked at for that, or its scores would not be a test.
PLANNED_FROM = ("training", "validation")

# Pairs that the fingerprint names; a set of a thousand copies would name too many.
PAIRS_NAMED = 200

# Called with the stage, the number of things done, and of all.
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Inspected:
    """One case that was measured.

    Attributes:
        name: Its image, below the folder that all images of the set share.
        look: Its files.
        figures: Its measures.
    """

    name: str
    look: Look
    figures: CaseFigures


@dataclass(frozen=True, eq=False)
class Inspection:
    """What an inspection found.

    Attributes:
        datalist: The set.
        fingerprint: Its fingerprint.
        cases: The cases that were measured, in the datalist's order.
        failed: Files that could not be read; they are counted among the fingerprint's refusals too.
        histograms: Pixel values outside all classes and within each.
        looks: All cases of the set by name, for pictures of them.
    """

    datalist: Datalist
    fingerprint: Fingerprint
    cases: Sequence[Inspected]
    failed: Sequence[Finding]
    histograms: Mapping[str, Histogram]
    looks: Mapping[str, Look]


def fingerprint_of(datalist_path: str | os.PathLike[str], workers: int | None = None) -> Fingerprint:
    """The fingerprint of a set; see `inspect_set`."""
    return inspect_set(datalist_path, workers=workers).fingerprint


def inspect_set(
    datalist_path: str | os.PathLike[str],
    *,
    workers: int | None = None,
    on_progress: OnProgress = lambda stage, done, total: None,
) -> Inspection:
    """Look at every case of a datalist.

    Pixels are measured in the training and validation parts alone; of the test part, pictures are compared with the
    others to find near-duplicates. A set that is all test, an external one, is measured as it is, and says so.

    Args:
        datalist_path: The datalist.json.
        workers: Processes; None for one a core.
        on_progress: Told of the progress.

    Raises:
        MissingFile: if the datalist is not there.
        InvalidDatalist: if it cannot be used, or not one of its cases can be read.
    """
    datalist = read_datalist(datalist_path)
    if len(datalist.labels) < 2:
        raise InvalidDatalist(f"{datalist_path} names no classes; expected labels such as 0 background, 1 lung.")
    parts = [part for part in PARTS if datalist.part(part)]
    measured = [part for part in PLANNED_FROM if part in parts] or parts
    n_classes = len(datalist.labels)
    looks: list[Look] = []
    part_of: list[str] = []
    for part in parts:
        items = load_cases(datalist_path, part, labelled=part in measured)
        looks += looks_of(items, n_classes, masks=part in measured)
        part_of += [part] * len(items)
    # What lies above the pictures is the machine's business, and not named.
    shared = shared_folder([file for look in looks for file in (look.image, *look.masks)])
    above = shared_folder([look.image for look in looks])
    names = [str(PurePosixPath(Path(look.image).as_posix()).relative_to(above)) for look in looks]

    gatherer = Gatherer(n_classes)
    cases: list[Inspected] = []
    failed: list[Finding] = []
    album = Album(names)
    results = map_in_order(look_at, looks, workers=workers or usable_cores(), when_killed=_killed)
    with closing(results):
        for place, seen in enumerate(results):
            if seen.failed is not None:
                reason = seen.failed.reason.replace(f"{shared}/", "")
                failed.append(Finding(names[place], seen.failed.code, reason))
            elif seen.measures is not None:
                cases.append(Inspected(names[place], looks[place], gatherer.add(seen.measures)))
            if seen.small is not None:
                album.add(place, seen.small)
            on_progress("Looking", place + 1, len(looks))
    if not cases:
        first = f"; first {failed[0].file}: {failed[0].reason}" if failed else ""
        raise InvalidDatalist(f"{datalist_path}: no case of {' or '.join(measured)} can be measured{first}.")
    facts = SetFacts(
        name=datalist.name,
        labels=datalist.labels,
        modality=datalist.modality,
        measured=measured,
        cases={part: len(datalist.part(part)) for part in PARTS},
        subjects={part: _subjects(datalist.part(part)) for part in PARTS},
        refused=Counter(finding.code for finding in [*datalist.refused, *failed]),
        warnings=Counter(finding.code for finding in datalist.warnings),
        volume_slices=sum(_is_slice(look.image) for look, part in zip(looks, part_of, strict=True) if part in measured),
        **_compare(album, part_of, on_progress),
    )
    return Inspection(
        datalist=datalist,
        fingerprint=gatherer.fingerprint(facts),
        cases=cases,
        failed=failed,
        histograms=gatherer.histograms(datalist.labels),
        looks=dict(zip(names, looks, strict=True)),
    )


def _is_slice(image: str) -> bool:
    """Whether a picture is one slice of a volume: of one file, or of a series of files that lie together."""
    return FRAGMENT in image or volume_of(image) is not None


class Album:
    """Thumbnails in the order of the pictures' names, in one array from the beginning.

    Args:
        names: Names of the pictures.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._order = sorted(range(len(names)), key=lambda place: natural_order(names[place]))
        self._row = {place: row for row, place in enumerate(self._order)}
        self._pictures = np.zeros((len(names), SIDE, SIDE), np.uint8)
        self._known = np.zeros(len(names), bool)

    def add(self, place: int, small: NDArray[np.uint8]) -> None:
        """Put in the thumbnail of the picture with this number among the names."""
        self._pictures[self._row[place]] = small
        self._known[self._row[place]] = True

    def pages(self) -> tuple[NDArray[np.uint8], list[int]]:
        """The thumbnails that were put in, (n, SIDE, SIDE), and the number of each among the names."""
        places = [place for row, place in enumerate(self._order) if self._known[row]]
        return self._pictures if len(places) == len(self.names) else self._pictures[self._known], places


def _compare(album: Album, part_of: Sequence[str], on_progress: OnProgress) -> dict[str, Any]:
    """What comparing all pictures with one another gives for `SetFacts`."""
    pictures, places = album.pages()
    names = album.names
    sides = np.array([PARTS.index(part_of[place]) for place in places])

    def entry(first: int, second: int, similarity: float, kind: str, how: str) -> dict[str, Any]:
        a, b = places[first], places[second]
        parts = [part_of[a], part_of[b]]
        return {"a": names[a], "b": names[b], "parts": parts, "similarity": similarity, "kind": kind, "how": how}

    pairs = near_duplicates(pictures, sides.tolist(), on_progress=lambda *done: on_progress("Comparing", *done))
    across = [pair for pair in pairs if sides[pair.first] != sides[pair.second]]
    order = order_of(pictures, sides)
    copies = {(pair.first, pair.second) for pair in across}
    found = {
        pair[:2]: pair for pair in (*(order.across if order else ()), *_within_folders(pictures, places, names, sides))
    }
    neighbours = [pair for ends, pair in found.items() if ends not in copies]
    listed = [entry(pair.first, pair.second, pair.similarity, "copy", pair.how) for pair in across]
    listed += [entry(*pair, "neighbour", "as it is") for pair in sorted(neighbours, key=lambda pair: -pair[2])]
    return {
        "near_duplicates": listed[:PAIRS_NAMED],
        "near_duplicates_across": len(listed),
        "near_duplicates_within": len(pairs) - len(across),
        "order": order,
    }


def _within_folders(
    pictures: NDArray[np.uint8], places: Sequence[int], names: Sequence[str], sides: NDArray[np.int_]
) -> Iterator[tuple[int, int, float]]:
    """Neighbours across the split in folders that are stacks of their own: of a set that was joined from several."""
    folders: dict[str, list[int]] = {}
    for row, place in enumerate(places):
        folders.setdefault(names[place].rpartition("/")[0], []).append(row)
    for rows in folders.values() if len(folders) > 1 else ():
        if len(set(sides[rows].tolist())) > 1:
            order = order_of(pictures[rows], sides[rows])
            for first, second, similarity in order.across if order else ():
                yield rows[first], rows[second], similarity


def write_fingerprint(fingerprint: Fingerprint, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a fingerprint whole or not at all.

    Raises: OutputExists: if the file is there and may not be replaced.
    """
    refuse_existing(path, overwrite)
    write_text_aside(path, fingerprint.to_json())


def refuse_existing(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Raise OutputExists if the file is there and may not be replaced."""
    if Path(path).exists() and not overwrite:
        raise OutputExists(f"{path} exists. Give --overwrite to replace it, or another name.")


def shared_folder(paths: Sequence[str]) -> PurePosixPath:
    """The deepest folder that holds all of some files."""
    return PurePosixPath(os.path.commonpath([PurePosixPath(Path(path).as_posix()).parent for path in paths]))


def _subjects(items: Sequence[dict[str, Any]]) -> int:
    """Number of subjects; a case that names none is one of its own."""
    return len({subject_of(item) for item in items})


def _killed(look: Look) -> Seen:
    reason = "decoding it or its mask ended the process (damaged file, or not enough memory)"
    return Seen(failed=Finding(look.image, "decoder_crash", reason))
