"""What a comparison does not show, said from its own facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from pipeline.report.comparison import Group, knows_the_set, same_scores
from pipeline.report.limits import FEW_SUBJECTS, Limit

__all__ = ["comparison_limits"]


def comparison_limits(groups: Sequence[Group]) -> list[Limit]:
    """The limits of a comparison, the grave ones first."""
    found = [*_number_of_intervals(groups)]
    for group in groups:
        if group.comparisons:
            found += [*_same(group), *_subjects(group), *_left_out(group), *_own_set(group), *_split(group)]
    found.append(
        Limit(
            "one_run",
            "Each model is one training run. Another run of the same recipe with another seed differs too; how much is "
            "not measured here.",
        )
    )
    return sorted(found, key=lambda limit: not limit.grave)


def _number_of_intervals(groups: Sequence[Group]) -> Iterator[Limit]:
    count = sum(difference.ci_low is not None for group in groups for difference in group.differences)
    if count:
        chance = max(1, round(0.05 * count))
        yield Limit(
            "many_intervals",
            f"{count} intervals of differences are shown. Of so many, about {chance} would leave out zero by chance "
            "alone if nothing differed. Many of these metrics say nearly the same.",
        )


def _same(group: Group) -> Iterator[Limit]:
    for one, other in combinations(group.entries, 2):
        if same_scores(one, other):
            yield Limit(
                "same_evaluation",
                f"{one.letter} and {other.letter} are of the same weights and score every case alike: one evaluation "
                "by two names, or made twice. That nothing differs says nothing of two models.",
                True,
            )


def _subjects(group: Group) -> Iterator[Limit]:
    subjects = group.entries[0].view.n_subjects
    if subjects < FEW_SUBJECTS:
        yield Limit(
            "few_subjects", f"{group.title} has {subjects} subjects: such intervals are rather too narrow.", True
        )


def _left_out(group: Group) -> Iterator[Limit]:
    most = max(difference.left_out for difference in group.differences)
    if most:
        yield Limit(
            "left_out",
            f"{group.title}: up to {most} pairs of an image and a class have no value of some metric in one of them, "
            "and are left out of its difference.",
        )


def _own_set(group: Group) -> Iterator[Limit]:
    own = [entry.letter for entry in group.entries if knows_the_set(entry)]
    if own and len(own) < len(group.entries):
        data = group.entries[0].view.data
        yield Limit(
            "own_set",
            f"{', '.join(own)} was trained on other cases of {data}, the others on other sets: part of the difference "
            "is that.",
            True,
        )


def _split(group: Group) -> Iterator[Limit]:
    split = group.entries[0].view.split
    if split in ("training", "validation"):
        yield Limit(
            "split",
            f"{group.title}: models trained with this datalist have seen these cases, or may have been chosen by them.",
            True,
        )
