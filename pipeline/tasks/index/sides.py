"""Who goes where: near duplicates made one subject, and each case its part and fold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.datalist import Finding
from pipeline.errors import InvalidOption, InvalidSplit
from pipeline.fragments import split_fragment
from pipeline.split import PARTS, Fractions, SubjectSplit, assign_folds, split_subjects, stratified_split
from pipeline.tasks.index.checking import Case
from pipeline.tasks.index.duplicates import nearly_equal_pairs
from pipeline.tasks.index.particular import Finer, particular_pairs, told_apart

__all__ = ["SplitOptions", "join_near_duplicates", "place_subjects", "split_facts", "too_few_subjects"]

SPELLINGS = {
    **dict.fromkeys(("train", "training", "tr"), "training"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "tune"), "validation"),
    **dict.fromkeys(("test", "testing", "ts", "holdout"), "test"),
}


@dataclass(frozen=True)
class SplitOptions:
    """How to split.

    Args:
        fractions: Share of the cases in each part.
        seed: Another seed gives another split.
        folds: Folds for cross-validation; None for five, or one a subject where they are fewer.
        column: A column `[FILE.csv:]COLUMN` that says the part of each case.
        test_only: Everything is test.
        stratify: Each part gets its share of the subjects that show a class, for every class.
        near_duplicates_apart: Nearly equal pictures of different subjects are told and make no one subject of them.
    """

    fractions: Fractions = field(default_factory=Fractions)
    seed: int = 0
    folds: int | None = None
    column: str | None = None
    test_only: bool = False
    stratify: bool = False
    near_duplicates_apart: bool = False


def join_near_duplicates(
    cases: Sequence[Case],
    subjects: list[str],
    same: Sequence[tuple[str, str]] = (),
    *,
    finer: Finer,
    split_is_given: bool,
    apart: bool = False,
) -> tuple[list[str], list[Finding], str]:
    """Make one subject of the subjects that nearly equal pictures belong to, so that they land on one side.

    Args:
        cases: The cases.
        subjects: The subject of each.
        same: Subjects that are one for another reason: a picture of both, of which one copy was kept.
        finer: Makes finer thumbnails of some cases; see `particular_pairs`.
        split_is_given: The sides are fixed: tell of the pairs, and join nobody.
        apart: Tell of the pairs, and join nobody for them.
    Returns: The subject of each case, a warning for each pair of different subjects, and a sentence on pairs that look
        alike from afar and were taken for different, or "".
    """
    parent: dict[str, str] = {}

    def head(subject: str) -> str:
        while subject in parent:
            subject = parent[subject]
        return subject

    def join(one: str, other: str) -> None:
        a, b = sorted((head(one), head(other)))
        if a != b and not split_is_given:
            parent[b] = a

    for pair in same:
        join(*pair)
    told: list[Finding] = []
    alike = nearly_equal_pairs([case.thumbnail for case in cases])
    alike = [(first, second) for first, second in alike if subjects[first] != subjects[second]]
    what = "they stay as given" if split_is_given else "they stay apart" if apart else "both count as one subject"
    particular = particular_pairs(alike, [case.shape for case in cases], finer)
    for first, second in particular:
        reason = f"nearly the same picture as case '{cases[first].name}', of another subject: {what}"
        told.append(Finding(cases[second].image, "near_duplicate", reason))
        if not apart:
            join(subjects[first], subjects[second])
    joined = [head(subject) for subject in subjects]
    return joined, told, told_apart(alike, particular, joined, [case.image for case in cases])


def too_few_subjects(
    cases: Sequence[Case], before: Sequence[str], after: Sequence[str], pairs: Sequence[Finding]
) -> str:
    """Why there are so few subjects, and what to say for more: sentences to end a message with, or "".

    Args:
        cases: The cases.
        before: The subject of each.
        after: The same with those joined that have pictures in common.
        pairs: What `join_near_duplicates` told.
    """
    told = []
    joined = len(set(before)) - len(set(after))
    if joined and pairs:
        told.append(
            f"{len(set(before))} subjects became {len(set(after))}, for {len(pairs)} pairs of pictures are nearly "
            f"equal (e.g. {pairs[0].file}: {pairs[0].reason}). If they show different subjects, say "
            "--near-duplicates-apart."
        )
    volumes = {split_fragment(case.image)[0] for case in cases}
    slices = [case for case in cases if split_fragment(case.image)[1] is not None]
    if len(slices) == len(cases) and len(set(before)) <= len(volumes) < len(PARTS):
        told.append(
            f"The slices of a volume are one subject, and there {'is' if len(volumes) == 1 else 'are'} {len(volumes)}. "
            r"For subjects of ten neighbouring slices say --subject-pattern '^(.+#slice=\d*)\d$': scores of slices "
            "that have neighbours in training say little of another volume."
        )
    return " ".join(told)


def place_subjects(
    cases: Sequence[Case], subjects: Sequence[str], options: SplitOptions, given: Sequence[str] | None
) -> SubjectSplit:
    """The part and fold of each subject.

    Args:
        cases: The cases.
        subjects: The subject of each.
        options: How to split.
        given: The part of each case as a table says it, if one does.
    Raises: InvalidSplit: if the subjects do not allow the split, or the table puts one on two sides.
    """
    counts = Counter(subjects)
    if options.test_only:
        return SubjectSplit(dict.fromkeys(counts, "test"))
    if given is None and options.stratify:
        shown: dict[str, set[int]] = defaultdict(set)
        for case, subject in zip(cases, subjects, strict=True):
            shown[subject] |= {number for number, pixels in enumerate(case.class_pixels) if number and pixels}
        return stratified_split(counts, shown, options.fractions, seed=options.seed, folds=options.folds)
    if given is None:
        return split_subjects(counts, options.fractions, seed=options.seed, folds=options.folds)
    part = _parts_as_given(cases, subjects, given)
    inside = {subject: n for subject, n in counts.items() if part[subject] != "test"}
    return SubjectSplit(part, assign_folds(inside, folds=options.folds, seed=options.seed))


def _parts_as_given(cases: Sequence[Case], subjects: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    unknown = sorted({value for value in given if value.lower() not in SPELLINGS})
    if unknown:
        raise InvalidOption(f"The split column holds {', '.join(unknown[:5])}: expected train, validation or test.")
    seen: dict[str, dict[str, str]] = defaultdict(dict)
    for case, subject, value in zip(cases, subjects, given, strict=True):
        seen[subject].setdefault(SPELLINGS[value.lower()], case.image)
    torn = [images for images in seen.values() if len(images) > 1]
    if torn:
        files = " and ".join(f"{image} ({part})" for part, image in torn[0].items())
        raise InvalidSplit(
            f"The split column puts {len(torn)} subject{'s' * (len(torn) > 1)} on two sides: {files} show the same "
            "subject. Correct the column, or let planar split."
        )
    return {subject: next(iter(images)) for subject, images in seen.items()}


def split_facts(split: SubjectSplit, options: SplitOptions, subjects_from: str) -> dict[str, Any]:
    """What a datalist says of its split."""
    counts = Counter(split.part.values())
    shares: Mapping[str, float] = dict(zip(PARTS, options.fractions.shares, strict=True))
    method = "test only" if options.test_only else f"column {options.column}" if options.column else "seeded"
    seeded = method == "seeded"
    return {
        "method": method + ", stratified by class" * (seeded and options.stratify),
        "seed": options.seed,
        "fractions": dict(shares) if seeded else None,
        "folds": 0 if options.test_only else options.folds or len({*split.fold.values()}),
        "unit": "subject",
        "subjects_from": subjects_from,
        "subjects": {part: counts[part] for part in PARTS},
        **({"near_duplicates": "apart"} if options.near_duplicates_apart else {}),
    }
