"""A larger validation part than a small set's usual split leaves, with the test part as it is."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.atomic import written_aside
from pipeline.datalist import Datalist, read_datalist, subject_of
from pipeline.split import PARTS, unit_hash

__all__ = ["chosen_for_validation", "write_parts"]


def write_parts(datalist: Path, validation: int, table: Path, *, seed: int = 0) -> None:
    """Write file, subject and part of each case, for `--subjects` and `--split-column`; nobody leaves the test part.

    Args:
        datalist: As the usual split made it; pictures that are nearly equal are of one subject there already.
        validation: Subjects wanted in the validation part.
        table: The CSV file.
        seed: Another seed chooses others.
    """
    content = read_datalist(datalist)
    chosen = chosen_for_validation(content, validation, seed=seed)
    with written_aside(table) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "subject", "part"))
        for part in PARTS:
            for item in content.part(part):
                subject = subject_of(item)
                side = part if part == "test" else "validation" if subject in chosen else "training"
                writer.writerow((PurePosixPath(item["image"]).name, subject, side))


def chosen_for_validation(content: Datalist, wanted: int, *, seed: int = 0) -> set[str]:
    """Subjects for the validation part: first those that are there, then those with the fewest pictures.

    A subject of many pictures teaches more than it tests. Equal ones come in the order of a hash of their first
    picture's name, which is the same whatever key the subjects are hashed with.
    """
    there = _pictures(content.validation)
    others = _pictures(content.training)
    order = [*_in_turn(there, seed), *_in_turn(others, seed)]
    return set(order[:wanted])


def _pictures(items: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in items:
        found.setdefault(subject_of(item), []).append(PurePosixPath(item["image"]).name)
    return found


def _in_turn(pictures: dict[str, list[str]], seed: int) -> list[str]:
    return sorted(pictures, key=lambda s: (len(pictures[s]), unit_hash(f"validation:{seed}:{min(pictures[s])}")))
