"""Images and masks by case, and the rule by which most of them pair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from pipeline.tasks.index.names import RULES, Cases, Rule

__all__ = ["Found", "Match", "best_match", "match_files", "rivals"]


@dataclass
class Found:
    """Files by case.

    Attributes:
        of_case: The files of each case.
        no_case: Files whose name says none.
        several: Cases of which several files are known to be masks of one image, rather than like-named.
        unclear: Masks that may be of either of two cases, with these.
    """

    of_case: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    no_case: list[str] = field(default_factory=list)
    several: set[str] = field(default_factory=set)
    unclear: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """All of them."""
        return [*self.no_case, *self.unclear, *(file for files in self.of_case.values() for file in files)]


@dataclass(frozen=True)
class Match:
    """Images and the masks of each folder by the cases of one rule."""

    rule: Rule
    images: Found
    masks: list[Found]

    @property
    def paired(self) -> int:
        """How many images have a mask, those of all folders counted."""
        single = [case for case, files in self.images.of_case.items() if len(files) == 1]
        return sum(case in found.of_case for case in single for found in self.masks)

    @property
    def used(self) -> int:
        """How many masks have an image."""
        cases = self.images.of_case
        return sum(len(files) for found in self.masks for case, files in found.of_case.items() if case in cases)


def best_match(own: dict[str, str], others: list[dict[str, str]]) -> Match:
    """The match by the rule that pairs most images; of several in one group, by the one that leaves fewest masks over.

    A mask that is left over might be part of one that is taken.
    """

    def best_of(rules: Sequence[Rule]) -> Match:
        return max((match_files(rule, own, others) for rule in rules), key=lambda match: (match.paired, match.used))

    (_, first), *further = RULES
    best = best_of(first)
    for factor, rules in further:
        if factor * best.paired >= len(own) * len(others):
            break
        found = best_of(rules)
        if found.paired > factor * best.paired:
            best = found
    return best


def rivals(rule: Rule, own: dict[str, str], left: dict[str, str]) -> set[str]:
    """Those of the masks that a rule left over to which another gives one of the images, with their names.

    Where the rule heeds folders the others must: "test/masks/1" is no second mask of "images/1".
    """
    found: set[str] = set()
    for other in (other for _, rules in RULES for other in rules if other.folders or not rule.folders):
        match = match_files(other, own, [left])
        found.update(file for case in match.images.of_case for file in match.masks[0].of_case.get(case, ()))
    return found


def match_files(rule: Rule, own: dict[str, str], others: list[dict[str, str]]) -> Match:
    """Images and the masks of each folder, with their names, by case."""
    pictures = Found()
    for file, name in own.items():
        case = rule.image(name)
        if case is None:
            pictures.no_case.append(file)
        else:
            pictures.of_case[case].append(file)
    return Match(rule, pictures, [_masks_by_case(rule, files, pictures.of_case) for files in others])


def _masks_by_case(rule: Rule, files: dict[str, str], images: Collection[str]) -> Found:
    cases_of = {file: rule.cases_of(name) for file, name in files.items()}
    reading = _Reading(list(cases_of.values()), images)
    found = Found()
    for file, cases in cases_of.items():
        case = reading.case_of(cases)
        if case is None and reading.may_be_two(cases) and cases.joined and cases.bare:
            found.unclear[file] = cases.joined, cases.bare
        elif case is None:
            found.no_case.append(file)
        else:
            found.of_case[case].append(file)
            if rule.by_folder or (case == cases.bare and case != cases.whole):
                found.several.add(case)
    # The unclear mask might be part of what else these cases have.
    for both in list(found.unclear.values()):
        for case in both:
            found.unclear |= dict.fromkeys(found.of_case.pop(case, ()), both)
    return found


class _Reading:
    """What numbers behind a word for masks are in a folder of masks: the cases', or those of an image's further masks.

    One answer holds for all masks of which both may be: the one that the others give, else the one that gives more
    images a mask. An image with a mask of its own name has no other whose number is the case's.
    """

    def __init__(self, masks: Sequence[Cases], images: Collection[str]) -> None:
        self._images = images
        self._own = {cases.whole for cases in masks if self._is_own(cases)}
        numbered = [cases for cases in masks if cases.bare is not None and not self._is_own(cases)]
        sure = {self._joins(cases) for cases in numbered if self._joins(cases) != (cases.bare in images)}
        doubtful = [cases for cases in numbered if self.may_be_two(cases)]
        if_joined = len(self._own.union(cases.joined for cases in doubtful))
        if_bare = len(self._own.union(cases.bare for cases in doubtful))
        self._joined: bool | None = None
        if len(sure) == 1:
            self._joined = sure.pop()
        elif not sure and if_joined != if_bare:
            self._joined = if_joined > if_bare

    def _is_own(self, cases: Cases) -> bool:
        return cases.whole != cases.joined and cases.whole in self._images

    def _joins(self, cases: Cases) -> bool:
        return cases.joined in self._images and cases.joined not in self._own

    def may_be_two(self, cases: Cases) -> bool:
        """Whether a mask may be of two images, by its name alone."""
        return not self._is_own(cases) and self._joins(cases) and cases.bare in self._images

    def case_of(self, cases: Cases) -> str | None:
        """The case of a mask; None if its name says none, or two."""
        if self._is_own(cases):
            return cases.whole
        if self.may_be_two(cases):
            return None if self._joined is None else cases.joined if self._joined else cases.bare
        if self._joins(cases):
            return cases.joined
        # An image that is left as the whole name is one that has a mask of its own.
        return cases.bare if cases.bare in self._images or cases.whole in self._images else cases.whole
