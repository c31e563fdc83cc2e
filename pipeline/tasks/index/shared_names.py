"""Names that begin alike and folders of several pictures, where each file is taken for a subject of its own."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from pipeline.datalist import Finding
from pipeline.tasks.index.pairing import Pair

__all__ = ["names_that_begin_alike"]

# What tells several pictures of one patient apart: "a_1", "a-left", "a b".
END = re.compile(r"^(.*[0-9A-Za-z])[_\-. ]+([0-9]{1,4}|[A-Za-z]{1,6})$")
# Patients have few pictures each: a name that more share, as in "film_1" to "film_800", is that of a set, unless there
# are so many such names that they are more likely patients with all their slices.
MOST = 12
MANY_NAMES = 5

IN_FOLDERS = (
    "pictures of one folder count as different subjects, which may be in training and in test; if a folder is a "
    "patient, say so: --subject-pattern '^(.+)/', or a table with --subjects"
)
BY_NAME = (
    "names that begin alike count as different subjects, which may be in training and in test; if they are of one "
    "patient, say so: --subject-pattern '^(.+?)([_. -][^_. -]+)?$', or a table with --subjects"
)


def names_that_begin_alike(pairs: Sequence[Pair]) -> list[Finding]:
    """A warning for each of the files whose names or folders may be those of one patient, and nobody has said so."""
    folders = _grouped(pairs, lambda name: name.rpartition("/")[0] if "/" in name else name)
    shared = [group for group in folders if len(group) > 1]
    if len(shared) > 1 and (_numbered_alike(shared) or _are_of_patients(shared)):
        return [Finding(pair.image, "names_begin_alike", IN_FOLDERS) for group in shared for pair in group]
    names = _grouped(pairs, lambda name: found[1] if (found := END.match(name)) else name)
    shared = [group for group in names if len(group) > 1]
    if len(names) < 2 or not shared or not _are_of_patients(shared):
        return []
    return [Finding(pair.image, "names_begin_alike", BY_NAME) for group in shared for pair in group]


def _grouped(pairs: Sequence[Pair], by: Callable[[str], str]) -> list[list[Pair]]:
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[by(pair.name)].append(pair)
    return list(groups.values())


def _are_of_patients(groups: Sequence[Sequence[Pair]]) -> bool:
    return len(groups) >= MANY_NAMES or sum(map(len, groups)) <= MOST * len(groups)


def _numbered_alike(folders: Sequence[Sequence[Pair]]) -> bool:
    """Whether a name, such as that of the first slice, is there in most folders."""
    counts = Counter(name for group in folders for name in {pair.name.rpartition("/")[2] for pair in group})
    return 2 * counts.most_common(1)[0][1] > len(folders)
