"""Which of the cases that were checked are kept: each picture once, with a subject, and a part if parts are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.datalist import Finding
from pipeline.tasks.index.checking import Case, Checked
from pipeline.tasks.index.columns import Column
from pipeline.tasks.index.pairing import Pair, Pairing

__all__ = ["Kept", "keep"]


@dataclass
class Kept:
    """Cases that passed.

    Attributes:
        cases: The cases.
        subjects: The subject of each.
        parts: The part that a table gives each, or "".
        tagged: How many of them say in their file whose they are.
        studies: How many say at least which study they are of.
        same: Subjects that have a picture in common, the kept one's first.
    """

    cases: list[Case] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    tagged: int = 0
    studies: int = 0
    same: list[tuple[str, str]] = field(default_factory=list)


def keep(
    checked: Checked,
    kept: Kept,
    seen: dict[str, tuple[Case, str]],
    pairing: Pairing,
    subject_of: Callable[[Pair, Case], tuple[str | None, str]],
    part_column: Column | None,
) -> None:
    """Keep the cases that a pair gave, and list what is refused or odd about them.

    Args:
        checked: What was found of the pair.
        kept: Gets the cases.
        seen: The case that is kept of each digest of pixels, and its subject; gets those that are new.
        pairing: Gets what is refused and what is odd.
        subject_of: From `subject_rule`.
        part_column: The column that says the part of each case, if there is one.
    """
    pairing.refused += checked.refused
    pairing.warnings += checked.warnings
    for case in checked.cases:
        subject, why = subject_of(checked.pair, case)
        part = part_column.of(checked.pair) if part_column is not None else ""
        first, first_subject = seen.get(case.image_sha256, (None, ""))
        if first is not None:
            # A picture of one value is nobody's.
            if subject is not None and len(set(case.thumbnail)) > 1:
                kept.same.append((first_subject, subject))
            same = "the same mask" if first.label_sha256 == case.label_sha256 else "another mask"
            reason = f"the same pixels as case '{first.name}', with {same}: the first is kept"
            pairing.refused.append(Finding(case.image, "duplicate_image", reason))
        elif subject is None:
            pairing.refused.append(Finding(case.image, "no_subject", why))
        elif part is None:
            pairing.refused.append(Finding(case.image, "no_split", f"{part_column.described} has no part for it"))  # type: ignore[union-attr]
        else:
            seen[case.image_sha256] = case, subject
            kept.cases.append(case)
            kept.subjects.append(subject)
            kept.parts.append(part)
            kept.tagged += bool(case.tagged_subject)
            kept.studies += bool(case.study)
