"""Names that begin alike, where each file is taken for a subject of its own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from pipeline.datalist import Finding
from pipeline.tasks.index.pairing import Pair

__all__ = ["names_that_begin_alike"]

# What tells several pictures of one patient apart: "a_1", "a-left", "a b".
END = re.compile(r"^(.*[0-9A-Za-z])[_\-. ]+([0-9]{1,4}|[A-Za-z]{1,6})$")
# Patients have few pictures each: a name that more share, as in "film_1" to "film_800", is that of a set.
MOST = 12


def names_that_begin_alike(pairs: Sequence[Pair]) -> list[Finding]:
    """A warning for each of the files whose names may be those of one patient, and nobody has said so."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        found = END.match(pair.name)
        groups[found[1] if found else pair.name].append(pair)
    shared = [group for group in groups.values() if len(group) > 1]
    if len(groups) < 2 or not shared or sum(map(len, shared)) > MOST * len(shared):
        return []
    reason = (
        "names that begin alike count as different subjects, which may be in training and in test; if they are of one "
        "patient, say so: --subject-pattern '^(.+?)([_. -][^_. -]+)?$', or a table with --subjects"
    )
    return [Finding(pair.image, "names_begin_alike", reason) for group in shared for pair in group]
