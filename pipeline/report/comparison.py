"""Which evaluations can be compared, and what the comparison comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import pandas as pd

from pipeline.errors import InvalidEvaluation
from pipeline.metrics import MEAN_OF_CLASSES, METRICS, PairedDifference, paired_differences
from pipeline.report.evaluation import EvaluationView
from pipeline.report.measures import MEASURES, Measure

__all__ = [
    "ENOUGH_SUBJECTS",
    "Comparison",
    "Entry",
    "Group",
    "comparisons",
    "group_evaluations",
    "image_keys",
    "knows_the_set",
    "model_of",
    "rows_of",
    "same_scores",
    "verdict",
]


# A bootstrap over fewer subjects leaves zero out by chance: two that both went up make an interval without it always.
ENOUGH_SUBJECTS = 5


@dataclass(frozen=True, eq=False)
class Entry:
    """One of the evaluations.

    Attributes:
        letter: A, B, C, … in the order in which they were given.
        name: What tells it from the others: the bundle's name, with the folder's where that is not enough.
        view: The evaluation.
    """

    letter: str
    name: str
    view: EvaluationView

    @property
    def title(self) -> str:
        """Letter and name."""
        return f"{self.letter}: {self.name}"


@dataclass(frozen=True, eq=False)
class Comparison:
    """The second evaluation against the first.

    Attributes:
        first, second: A difference is second − first.
        differences: By class and metric; the classes end with their mean where there are several.
    """

    first: Entry
    second: Entry
    differences: Mapping[str, Mapping[str, PairedDifference]]

    def by_image(self) -> pd.DataFrame:
        """One row an image: its names, subject, Dice of both (mean over the classes), and difference, ascending."""
        columns = ["image", "subject", "dice"]
        first, second = (
            entry.view.images[columns].assign(key=entry.view.images["image"].map(image_keys(entry.view)))
            for entry in (self.first, self.second)
        )
        both = first.merge(second.drop(columns="subject"), on="key", suffixes=("_first", "_second")).dropna()
        both["difference"] = both["dice_second"] - both["dice_first"]
        return both.sort_values(["difference", "image_first"], ignore_index=True)


@dataclass(frozen=True, eq=False)
class Group:
    """Evaluations of the same cases.

    Attributes:
        entries: In the order in which they were given; the first one is what the others are compared with.
        comparisons: One for each of the others.
    """

    entries: Sequence[Entry]
    comparisons: list[Comparison] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Data and split."""
        view = self.entries[0].view
        return f"{view.data}, {view.split}" if view.split else view.data

    @property
    def measures(self) -> list[Measure]:
        """The metrics that any of them has: what one did not measure is missing in its column alone."""
        return [measure for measure in MEASURES if any(measure in entry.view.measures for entry in self.entries)]

    @property
    def labels(self) -> list[str]:
        """The classes, and their mean where there are several."""
        classes = self.entries[0].view.classes
        return [*classes, MEAN_OF_CLASSES] if len(classes) > 1 else classes

    @property
    def differences(self) -> Iterator[PairedDifference]:
        """All differences of all comparisons."""
        for comparison in self.comparisons:
            for found in comparison.differences.values():
                yield from found.values()


def group_evaluations(views: Sequence[EvaluationView]) -> list[Group]:
    """Put together the evaluations that are of the same cases.

    Raises: InvalidEvaluation: if some cases are shared and others not, if the classes or the reference masks differ, or
        if there is nothing to compare.
    """
    names = _names(views)
    entries = [Entry(_letter(k), name, view) for k, (view, name) in enumerate(zip(views, names, strict=True))]
    groups: list[list[Entry]] = []
    for entry in entries:
        same = next((group for group in groups if _cases(group[0]) == _cases(entry)), None)
        if same is None:
            groups.append([entry])
        else:
            _require_same_references(same[0], entry)
            same.append(entry)
    for one, other in combinations(groups, 2):
        _require_nothing_shared(one[0], other[0])
    if all(len(group) == 1 for group in groups) and len({model_of(entry) for entry in entries}) == len(entries):
        listed = "; ".join(f"{entry.title} on {entry.view.data}" for entry in entries)
        raise InvalidEvaluation(
            f"There is nothing to compare: neither two evaluations of the same cases nor one model on several sets "
            f"({listed}). Evaluate each bundle on the same datalist and split."
        )
    return [Group(group) for group in groups]


def comparisons(group: Group, advance: Callable[[], None] = lambda: None) -> list[Comparison]:
    """Each evaluation of a group against its first, in all metrics and classes.

    Args:
        group: Of two or more.
        advance: Called after each class.
    """
    first, *others = group.entries
    made = []
    for second in others:
        measured_by_both = [measure for measure in first.view.measures if measure in second.view.measures]
        differences: dict[str, dict[str, PairedDifference]] = {}
        for label in group.labels:
            differences[label] = {
                measure.key: paired_differences(first.view.cases, second.view.cases, measure.key, label)
                for measure in measured_by_both
            }
            advance()
        made.append(Comparison(first, second, differences))
    return made


def verdict(measure: Measure, difference: PairedDifference) -> str:
    """What the second is against the first: "better" or "worse".

    "" where the interval holds zero, where there is none, and of fewer than `ENOUGH_SUBJECTS`, which decide on nothing.
    """
    low, high = difference.ci_low, difference.ci_high
    if difference.n < ENOUGH_SUBJECTS or low is None or high is None or low <= 0 <= high:
        return ""
    return "better" if (low > 0) == (measure.better == "higher") else "worse"


def image_keys(view: EvaluationView) -> dict[str, str]:
    """Image → what tells it in any evaluation: the digest of its pixels where all have one, else its name."""
    images = view.cases.drop_duplicates("image")
    names = [str(name) for name in images["image"]]
    if "image_sha256" in images:
        digests = [str(digest) for digest in images["image_sha256"]]
        if all(digests) and len({*digests}) == len(digests):
            return dict(zip(names, digests, strict=True))
    return {name: name for name in names}


def _cases(entry: Entry) -> frozenset[str]:
    return frozenset(image_keys(entry.view).values())


def knows_the_set(entry: Entry) -> bool:
    """Whether a model says that it was trained on the set that it is measured on."""
    return entry.view.trained_on.partition(" (")[0].strip().casefold() == entry.view.data.casefold()


def same_scores(one: Entry, other: Entry) -> bool:
    """Whether two are of the same weights and scored each case alike: one evaluation, or the same once more."""
    (_, weights), (_, theirs) = model_of(one), model_of(other)
    if not weights or weights != theirs:
        return False
    tables = [
        entry.view.cases.assign(image=entry.view.cases["image"].map(image_keys(entry.view)))
        .set_index(["image", "class"])
        .sort_index()
        for entry in (one, other)
    ]
    first, second = (table[[name for name in METRICS if name in table]] for table in tables)
    return bool(first.equals(second))


def model_of(entry: Entry) -> tuple[str, str]:
    """What tells one model from another: the bundle's name and the digest of its weights."""
    return entry.view.bundle, str(entry.view.record.get("checkpoint_sha256") or "")


def _require_nothing_shared(one: Entry, other: Entry) -> None:
    """Two groups have no case in common, and are not two parts of what should be one."""
    first, second = _cases(one), _cases(other)
    shared = len(first & second)
    if shared:
        raise InvalidEvaluation(
            f"{one.view.folder} scores {len(first)} cases and {other.view.folder} {len(second)}, of which {shared} are "
            "in both; expected the same cases, or quite other ones. Evaluate both on the same datalist and split."
        )
    if (one.view.data, one.view.split) == (other.view.data, other.view.split):
        raise InvalidEvaluation(
            f"{one.view.folder} and {other.view.folder} are both of {one.view.data}, {one.view.split}, and have no "
            "case in common; expected the same pictures. Evaluate both on the same datalist."
        )


def _require_same_references(one: Entry, other: Entry) -> None:
    if one.view.classes != other.view.classes:
        raise InvalidEvaluation(
            f"{one.view.folder} scores {', '.join(one.view.classes)}; {other.view.folder} "
            f"{', '.join(other.view.classes)}. Expected the same classes in the same order. Evaluate both on the same "
            "datalist."
        )
    if not all("reference_pixels" in entry.view.cases for entry in (one, other)):
        return
    first, second = (
        entry.view.cases.assign(key=entry.view.cases["image"].map(image_keys(entry.view))).set_index(["key", "class"])
        for entry in (one, other)
    )
    differ = first["reference_pixels"] != second["reference_pixels"].reindex(first.index)
    if differ.any():
        raise InvalidEvaluation(
            f"{one.view.folder} and {other.view.folder} have other reference masks of {int(differ.sum())} of "
            f"{len(first)} rows, first {first.loc[differ, 'image'].iloc[0]}. Evaluate both on the same datalist."
        )


def _names(views: Sequence[EvaluationView]) -> list[str]:
    """The bundles' names; with the folder's, where one bundle was evaluated twice on one set."""
    keys = [(view.bundle, view.data, view.split) for view in views]
    return [
        f"{view.bundle} ({view.folder.resolve().name})" if keys.count(key) > 1 else view.bundle
        for view, key in zip(views, keys, strict=True)
    ]


def _letter(number: int) -> str:
    """The letter of an evaluation: A to Z, then AA, AB and so on."""
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def rows_of(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """The differences as rows for machines."""
    for label, found in comparison.differences.items():
        for key, difference in found.items():
            yield {
                "class": label,
                "metric": key,
                **{name: getattr(difference, name) for name in ("mean", "ci_low", "ci_high", "n", "images")},
                **{name: getattr(difference, name) for name in ("wins", "losses", "ties", "left_out")},
            }
