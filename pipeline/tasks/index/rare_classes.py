"""Classes that few masks have: one may be a stray value that was guessed to be a class, or be on one side alone."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.datalist import Finding
from pipeline.tasks.index.checking import Case

__all__ = ["one_sided_classes", "rare_classes"]

# Of so many cases at least, so small a share at most.
ENOUGH_CASES = 10
RARE = 0.1


def rare_classes(cases: Sequence[Case], labels: Sequence[str]) -> list[Finding]:
    """A warning for each of several classes that is in few masks, which names the first of them.

    Args:
        cases: All cases.
        labels: Class names, background first.
    """
    found = []
    for number, label in enumerate(labels[1:] if len(labels) > 2 else (), 1):
        having = [case for case in cases if case.class_pixels[number]]
        if having and len(cases) >= ENOUGH_CASES and len(having) <= RARE * len(cases):
            reason = (
                f"{label} is in {len(having)} of {len(cases)} masks, and its value was guessed to be a class. If it "
                "is a stray one, mend the mask, or say which values count with --threshold or --levels"
            )
            found.append(Finding(having[0].masks[0], "rare_class", reason))
    return found


def one_sided_classes(cases: Sequence[Case], parts: Sequence[str], labels: Sequence[str]) -> list[Finding]:
    """A warning for each class that some masks have, but none that is trained on, or none that is tested on.

    Args:
        cases: All cases.
        parts: The part of each.
        labels: Class names, background first.
    """
    found = []
    for number, label in enumerate(labels[1:], 1):
        having = [(case, part) for case, part in zip(cases, parts, strict=True) if case.class_pixels[number]]
        for side in ("training", "test"):
            if len(having) > 1 and side in parts and all(part != side for _, part in having):
                reason = f"{label} is in {len(having)} masks, and in none of the {side} part: --stratify shares it out"
                found.append(Finding(having[0][0].masks[0], "one_sided_class", reason))
    return found
