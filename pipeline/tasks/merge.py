"""Several datalists with the same classes as one, with nobody on two sides."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.archives import exists
from pipeline.cores import usable_cores
from pipeline.datalist import Datalist, Finding, read_datalist, relative_to, subject_of, write_datalist
from pipeline.errors import InvalidDatalist, InvalidOption, InvalidSplit, OutputExists
from pipeline.fragments import split_fragment
from pipeline.readers import read_picture
from pipeline.split import PARTS, Fractions, assign_folds, split_subjects
from pipeline.tasks.index.duplicates import SIDE, nearly_equal_pairs, thumbnail
from pipeline.tasks.index.parallel import map_in_order
from pipeline.tasks.index.particular import particular_pairs, told_apart
from pipeline.tasks.union_lists import class_numbers, with_unions

__all__ = ["MergeResult", "merge_datalists"]

Item = dict[str, Any]


@dataclass(frozen=True)
class MergeResult:
    """What was written.

    Attributes:
        path: The datalist.
        datalist: Its content.
        left_out: Cases whose pixels another list has too.
        unscored: Cases outside the training part whose masks know a union alone, and which cannot score classes.
        joined: Pairs of subjects of nearly equal pictures, which count as one.
        alike_from_afar: A sentence on pictures that look alike and were taken for different, or "".
    """

    path: Path
    datalist: Datalist
    left_out: int
    joined: int
    unscored: int = 0
    alike_from_afar: str = ""


@dataclass
class _Case:
    item: Item
    file: str  # of the picture, absolute
    part: str
    subject: str
    apart: str = ""  # its list, if that keeps nearly equal pictures apart


def merge_datalists(
    paths: Sequence[Path],
    output: Path,
    *,
    name: str | None = None,
    fractions: Fractions | None = None,
    seed: int = 0,
    folds: int | None = None,
    unions: Mapping[str, Sequence[str]] | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> MergeResult:
    """Join datalists into one, in which each case keeps its own label coding.

    Subjects of one hash are one subject. So are those of nearly equal pictures, which are looked for among all; within
    a list that keeps them apart they stay so.

    Args:
        paths: Two datalists or more, with the same classes in the same order.
        output: The datalist to write.
        name: Of the set; by default the names of the lists.
        fractions: Split all anew by subject; None keeps the part that each case has.
        seed: Of that split and of the folds.
        folds: For cross-validation, anew among all; None for five, or one a subject where they are fewer.
        unions: Name of what further lists may mark in place of several of the first one's classes → these classes. Of
            such a list the training part is taken, for the network to learn from; see `pipeline.unions`.
        workers: Processes that decode; None for one a core.
        overwrite: Replace the output.
        on_progress: Told of pictures done and in all.

    Raises:
        OutputExists: if the output is there.
        InvalidOption: for fewer than two lists, a union of no classes, or lists with unions that are to be split anew.
        InvalidDatalist: if their classes differ, or a file is gone.
        InvalidSplit: if one subject would be on two sides.
    """
    if len(paths) < 2:
        raise InvalidOption("There is nothing to join: give two datalists or more.")
    if output.exists() and not overwrite:
        raise OutputExists(f"{output} exists. Give --overwrite to replace it, or another name with -o.")
    lists = [read_datalist(path) for path in paths]
    numbers = [class_numbers(path, content, lists[0], unions or {}) for path, content in zip(paths, lists, strict=True)]
    if fractions is not None and any(numbers):
        raise InvalidOption("Lists with unions cannot be split anew: their cases are for training. Drop --split.")
    unscored = sum(len(c.validation) + len(c.test) for c, own in zip(lists, numbers, strict=True) if own)
    folder = output.absolute().parent
    cases, same, refused = _gather(paths, [with_unions(c, own) for c, own in zip(lists, numbers, strict=True)], folder)
    subjects, warnings, alike_from_afar = _join(cases, same, folder, workers, on_progress)
    for case, subject in zip(cases, subjects, strict=True):
        case.subject = subject
    counts = Counter(subjects)
    part = _parts(cases) if fractions is None else split_subjects(counts, fractions, seed=seed, folds=folds).part
    inside = {subject: n for subject, n in counts.items() if part[subject] != "test"}
    fold = assign_folds(inside, folds=folds, seed=seed)
    merged = Datalist(
        name=name or "+".join(dict.fromkeys(content.name for content in lists)),
        labels=lists[0].labels,
        modality=lists[0].modality if len({content.modality for content in lists}) == 1 else "unknown",
        description=f"Joined from {', '.join(content.name for content in lists)}",
        split={
            "method": "seeded" if fractions else "as joined",
            "seed": seed,
            "fractions": dict(zip(PARTS, fractions.shares, strict=True)) if fractions else None,
            "folds": (folds or len({*fold.values()})) if inside else 0,
            "unit": "subject",
            "subjects_from": "the joined datalists",
            "subjects": {side: sum(part[subject] == side for subject in counts) for side in PARTS},
            **({"near_duplicates": "apart"} if any(case.apart for case in cases) else {}),
        },
        refused=[_placed(f, path, folder) for path, c in zip(paths, lists, strict=True) for f in c.refused] + refused,
        warnings=[_placed(f, path, folder) for path, c in zip(paths, lists, strict=True) for f in c.warnings]
        + warnings,
    )
    for case in cases:
        own = {key: value for key, value in case.item.items() if key != "fold"} | {"subject": case.subject}
        merged.part(part[case.subject]).append(own | ({"fold": fold[case.subject]} if case.subject in fold else {}))
    write_datalist(merged, output, overwrite=overwrite)
    return MergeResult(output, merged, len(refused), len(warnings), unscored, alike_from_afar)


def _gather(
    paths: Sequence[Path], lists: Sequence[Datalist], folder: Path
) -> tuple[list[_Case], list[tuple[str, str]], list[Finding]]:
    """All cases, with paths as the new list has them; one whose pixels were there before is left out.

    Returns: The cases; pairs of subjects that such pixels belong to both; what was left out.
    """
    same: list[tuple[str, str]] = []
    cases: list[_Case] = []
    refused: list[Finding] = []
    seen: dict[str, tuple[str, str]] = {}
    for path, content in zip(paths, lists, strict=True):
        here = os.path.realpath(path.parent)
        apart = str(path) if content.split.get("near_duplicates") == "apart" else ""
        for part in PARTS:
            for item in content.part(part):
                file = os.path.normpath(os.path.join(here, _first(item["image"])))  # noqa: PTH118
                if not exists(split_fragment(file)[0]):
                    raise InvalidDatalist(f"{path}: {file} is not there. Move it back, or index again.")
                moved = {
                    key: _moved(value, here, folder) if key in ("image", "label") else value
                    for key, value in item.items()
                }
                digest = str(item.get("image_sha256") or file)
                subject = subject_of({**item, "image": file})
                if digest in seen:
                    first, first_subject = seen[digest]
                    reason = f"the same pixels as {first}, of a list before: the first is kept"
                    refused.append(Finding(str(_first(moved["image"])), "duplicate_image", reason))
                    same.append((first_subject, subject))
                    continue
                seen[digest] = str(_first(moved["image"])), subject
                cases.append(_Case(moved, file, part, subject, apart))
    if not cases:
        raise InvalidDatalist(f"{paths[0]} and the others have no cases. Nothing was written.")
    return cases, same, refused


def _join(
    cases: Sequence[_Case],
    same: Sequence[tuple[str, str]],
    folder: Path,
    workers: int | None,
    on_progress: Callable[[int, int], None],
) -> tuple[list[str], list[Finding], str]:
    """The subject of each case, those of equal and of nearly equal pictures being one; what was joined; what not."""
    head = {
        subject: subject for subject in (*(case.subject for case in cases), *(one for pair in same for one in pair))
    }

    def first_of(subject: str) -> str:
        while head[subject] != subject:
            subject = head[subject]
        return subject

    def join(one: str, other: str) -> bool:
        first, second = sorted((first_of(one), first_of(other)))
        head[second] = first
        return first != second

    for pair in same:
        join(*pair)

    def thumbnails_of(members: Sequence[int], side: int = SIDE) -> Iterator[bytes]:
        files = [cases[k].file for k in members]
        made = partial(_thumbnail_of, side=side)
        return map_in_order(made, files, workers=workers or usable_cores(), when_killed=_nothing)

    thumbnails = []
    for done, small in enumerate(thumbnails_of(range(len(cases))), 1):
        thumbnails.append(small)
        on_progress(done, len(cases))
    told = []
    alike = [(a, b) for a, b in nearly_equal_pairs(thumbnails) if _may_be_one(cases[a], cases[b])]
    shapes = [tuple(case.item.get("shape", (0, 0))) for case in cases]
    particular = particular_pairs(alike, shapes, lambda *asked: list(thumbnails_of(*asked)))
    for a, b in particular:
        if join(cases[a].subject, cases[b].subject):
            images = [str(_first(cases[k].item["image"])) for k in (a, b)]
            reason = f"nearly the same picture as '{images[0]}', of another subject: both count as one subject"
            told.append(Finding(images[1], "near_duplicate", reason))
    joined = [first_of(case.subject) for case in cases]
    return joined, told, told_apart(alike, particular, joined, [str(_first(case.item["image"])) for case in cases])


def _may_be_one(one: _Case, other: _Case) -> bool:
    """Whether nearly equal pictures are to make one subject of two: not where their list says to keep them apart."""
    return one.subject != other.subject and not (one.apart and one.apart == other.apart)


def _thumbnail_of(file: str, side: int) -> bytes:
    return thumbnail(read_picture(file).array, side)


def _nothing(file: str) -> bytes:
    return b""


def _parts(cases: Sequence[_Case]) -> dict[str, str]:
    part: dict[str, _Case] = {}
    for case in cases:
        first = part.setdefault(case.subject, case)
        if first.part != case.part:
            raise InvalidSplit(
                f"{first.item['image']} is in '{first.part}' and {case.item['image']} in '{case.part}', and they are "
                "of one subject or nearly equal. Split all anew by subject: --split 0.7,0.1,0.2."
            )
    return {subject: case.part for subject, case in part.items()}


def _first(entry: Any) -> Any:
    return entry[0] if isinstance(entry, list) else entry


def _moved(entry: Any, here: str, folder: Path) -> Any:
    if isinstance(entry, list):
        return [_moved(part, here, folder) for part in entry]
    return relative_to(folder, os.path.join(here, entry))  # noqa: PTH118


def _placed(finding: Finding, path: Path, folder: Path) -> Finding:
    return Finding(_moved(finding.file, os.path.realpath(path.parent), folder), finding.code, finding.reason)
