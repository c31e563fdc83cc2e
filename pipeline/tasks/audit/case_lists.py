"""How the cases of a datalist differ from those of a record, whatever they are called."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

from pipeline.tracking.recorded import RecordedCase

__all__ = ["differences", "paired"]


def differences(recorded: Sequence[RecordedCase], here: Sequence[RecordedCase], *, folds: bool = True) -> list[str]:
    """What differs between two lists of cases, by what they say of the pixels.

    Args:
        recorded: Of a run.
        here: Of a datalist.
        folds: Whether the numbers of the folds count. They are drawn by the subjects' names, which in joined lists are
            pseudonyms of the user's own key; but for a cross-validation they decide on nothing.
    """
    told = []
    subjects: dict[str, set[str]] = defaultdict(set)
    left = list(recorded)
    for case, before in paired(here, left):
        if before is None:
            told.append(f"{case.name}: added to {case.part}")
            continue
        if before.part != case.part:
            told.append(f"{case.name}: moved from {before.part} to {case.part}")
        if before.image_sha256 != case.image_sha256:
            told.append(f"{case.name}: another image is listed")
        if before.label_sha256 != case.label_sha256:
            told.append(f"{case.name}: another mask is listed")
        for key in (before.details.keys() | case.details.keys()) - (set() if folds else {"fold"}):
            if before.details.get(key) != case.details.get(key):
                told.append(f"{case.name}: {key} {before.details.get(key)} → {case.details.get(key)}")
        if before.subject:
            subjects[case.subject].add(before.subject)
    # Subjects may have other names in the record; who belongs together must be the same.
    names = Counter(name for whose in subjects.values() for name in whose)
    mixed = [one for one, whose in subjects.items() if len(whose) > 1 or any(names[name] > 1 for name in whose)]
    told += [f"subject {subject}: of other cases than in the record" for subject in mixed]
    return told + [f"{case.name}: gone from {case.part}" for case in left]


def paired(
    here: Sequence[RecordedCase], left: list[RecordedCase]
) -> Iterator[tuple[RecordedCase, RecordedCase | None]]:
    """Each case with the one of the record that it is; those that nobody is stay in `left`."""
    ways: list[Callable[[RecordedCase, RecordedCase], bool]] = [
        lambda a, b: _pixels_of(a) == _pixels_of(b) and a.part == b.part,
        lambda a, b: _pixels_of(a) == _pixels_of(b),
        lambda a, b: bool(a.image_sha256) and a.image_sha256 == b.image_sha256,
        lambda a, b: bool(a.label_sha256) and a.label_sha256 == b.label_sha256,
        lambda a, b: not b.image_sha256 and a.name == b.name,
    ]
    pairs: dict[int, RecordedCase] = {}
    for is_same in ways:
        index = defaultdict(list)
        for case in left:
            index[case.image_sha256].append(case)
        for number, case in enumerate(here):
            if number in pairs:
                continue
            # By image first, which makes it quick; the others one by one.
            near = index.get(case.image_sha256, []) if is_same in ways[:3] else left
            found = next((other for other in near if is_same(case, other)), None)
            if found is not None:
                pairs[number] = found
                left.remove(found)
                if found in index.get(found.image_sha256, []):
                    index[found.image_sha256].remove(found)
    for number, case in enumerate(here):
        yield case, pairs.get(number)


def _pixels_of(case: RecordedCase) -> tuple[str, str]:
    return case.image_sha256, case.label_sha256
