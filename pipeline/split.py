"""Splitting by subject: no subject is ever on two sides, and the same seed gives the same sides.

A subject's turn comes from a hash of seed and name, so the split depends on neither the order of the files nor on any
library's random numbers.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import InvalidSplit

__all__ = [
    "PARTS",
    "SEEDS_TRIED",
    "USUAL_FOLDS",
    "Fractions",
    "SubjectSplit",
    "assign_folds",
    "split_subjects",
    "stratified_split",
    "unit_hash",
]

PARTS = ("training", "validation", "test")
SEEDS_TRIED = 200
USUAL_FOLDS = 5  # of a cross-validation for which nobody named a number


@dataclass(frozen=True)
class Fractions:
    """Shares of the cases wanted in each part; they add up to 1."""

    training: float = 0.7
    validation: float = 0.1
    test: float = 0.2

    def __post_init__(self) -> None:
        shares = self.shares
        if any(not 0 <= share <= 1 for share in shares) or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
            raise InvalidSplit(
                f"The split {','.join(f'{s:g}' for s in shares)} must be three shares from 0 that add up to 1."
            )

    @property
    def shares(self) -> tuple[float, float, float]:
        """Training, validation and test."""
        return self.training, self.validation, self.test

    @classmethod
    def parse(cls, text: str) -> Fractions:
        """Read `0.7,0.1,0.2` (training, validation, test), in shares or in per cent.

        Raises: InvalidSplit: if these are not three shares that add up to 1.
        """
        try:
            shares = [float(part) for part in text.split(",")]
        except ValueError:
            shares = []
        if len(shares) != 3:
            raise InvalidSplit(
                f"The split {text!r} cannot be read: expected training,validation,test such as 0.7,0.1,0.2."
            )
        if math.isclose(sum(shares), 100):
            shares = [share / 100 for share in shares]
        return cls(*shares)


@dataclass(frozen=True)
class SubjectSplit:
    """The part of each subject, and the fold of each that is not in the test part."""

    part: dict[str, str]
    fold: dict[str, int] = field(default_factory=dict)


def split_subjects(
    cases: Mapping[str, int], fractions: Fractions, *, seed: int, folds: int | None = None
) -> SubjectSplit:
    """Split subjects so that each part has about its share of the cases.

    Subjects with many cases are placed first, each where most cases are still wanted; equal ones in hash order.

    Args:
        cases: Number of cases of each subject.
        fractions: Share of the cases wanted in each part.
        seed: Another seed gives another split.
        folds: Number of folds that training and validation subjects are divided into for cross-validation; None for
            five, or as many as there are subjects where they are fewer.
    Raises: InvalidSplit: if there are fewer subjects than parts or folds need.
    """
    total = sum(cases.values())
    wanted = {part: share * total for part, share in zip(PARTS, fractions.shares, strict=True) if share > 0}
    if len(cases) < len(wanted):
        shares = "--split 1,0,0" if len(cases) == 1 else "--split 0.5,0,0.5"
        less = f" --folds {max(1, len(cases) - 1)}" if folds is not None and len(cases) <= folds else ""
        raise InvalidSplit(
            f"{len(cases)} subject{'s' * (len(cases) != 1)} cannot be split into {' and '.join(wanted)}, which need "
            f"one each. Give more cases, set a share to 0 ({shares}{less}), or check how subjects are told apart."
        )
    part: dict[str, str] = {}
    empty = dict.fromkeys(wanted)
    ordered = placing_order(cases, seed)
    for number, subject in enumerate(ordered):
        open_parts = empty if len(ordered) - number <= len(empty) else wanted
        chosen = max(open_parts, key=lambda name: wanted[name])
        part[subject] = chosen
        wanted[chosen] -= cases[subject]
        empty.pop(chosen, None)
    return SubjectSplit(
        part, assign_folds({s: n for s, n in cases.items() if part[s] != "test"}, folds=folds, seed=seed)
    )


def stratified_split(
    cases: Mapping[str, int],
    classes: Mapping[str, Set[int]],
    fractions: Fractions,
    *,
    seed: int,
    folds: int | None = None,
) -> SubjectSplit:
    """The split whose parts, and the folds whose members, come nearest to their share of each class's subjects.

    Of SEEDS_TRIED seeds from `seed` on the best one is taken: a class that four subjects show is then not left to
    chance, and each class counts alike, however rare.

    Args:
        cases: Number of cases of each subject.
        classes: The classes that each subject shows.
        fractions: Share of the cases wanted in each part.
        seed: The first of the seeds.
        folds: As for `split_subjects`.
    Raises: InvalidSplit: as `split_subjects` does.
    """
    seeds = range(seed, seed + SEEDS_TRIED)
    wanted = dict(zip(PARTS, fractions.shares, strict=True))
    parts = min(
        (split_subjects(cases, fractions, seed=one, folds=folds).part for one in seeds),
        key=lambda part: _unevenness(part, classes, wanted),
    )
    inside = {subject: n for subject, n in cases.items() if parts[subject] != "test"}
    folds = _possible(folds, inside)
    even = dict.fromkeys(range(folds), 1 / folds)
    fold = min(
        (assign_folds(inside, folds=folds, seed=one) for one in seeds),
        key=lambda fold: _unevenness(fold, classes, even),
    )
    return SubjectSplit(parts, fold)


def _unevenness(side: Mapping[str, Any], classes: Mapping[str, Set[int]], wanted: Mapping[Any, float]) -> float:
    """How far the sides are from their shares, as a share of each class's subjects, summed over classes and sides."""
    subjects = Counter(number for subject in side for number in classes[subject])
    there = Counter((on, number) for subject, on in side.items() for number in classes[subject])
    return sum(abs(there[on, number] / n - share) for number, n in subjects.items() for on, share in wanted.items())


def _possible(folds: int | None, cases: Mapping[str, int]) -> int:
    """As many folds as are asked for; where nobody asked, no more than there are subjects."""
    return max(1, min(USUAL_FOLDS, len(cases))) if folds is None else folds


def assign_folds(cases: Mapping[str, int], *, folds: int | None, seed: int) -> dict[str, int]:
    """Divide subjects into folds of about equal numbers of cases.

    Args:
        cases: Number of cases of each subject.
        folds: How many, or None for five or fewer; see `split_subjects`.
        seed: Another seed gives other folds.
    Raises: InvalidSplit: if there are fewer subjects than folds.
    """
    folds = _possible(folds, cases)
    if folds < 1:
        raise InvalidSplit(f"The number of folds must be 1 or more, got {folds}.")
    if cases and len(cases) < folds:
        raise InvalidSplit(
            f"{len(cases)} subject{'s' * (len(cases) != 1)} outside the test part cannot fill {folds} folds. "
            f"Use --folds {len(cases)}{' or fewer' * (len(cases) != 1)}."
        )
    load = [0] * folds
    fold: dict[str, int] = {}
    for subject in placing_order(cases, seed, "fold"):
        fold[subject] = min(range(folds), key=load.__getitem__)
        load[fold[subject]] += cases[subject]
    return fold


def placing_order(cases: Mapping[str, int], seed: int, purpose: str = "part") -> list[str]:
    """Subjects with the most cases first, equal ones in the order of their hash."""
    return sorted(cases, key=lambda subject: (-cases[subject], unit_hash(f"{purpose}:{seed}:{subject}"), subject))


def unit_hash(text: str) -> float:
    """A number in [0, 1) that is the same for the same text everywhere."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56
