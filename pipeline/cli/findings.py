"""What was refused or odd about the files of a set, in a line for each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.datalist import Finding

__all__ = ["finding_lines"]

NAMES_SHOWN = 3


def finding_lines(word: str, findings: Sequence[Finding]) -> list[str]:
    """One line for each kind of finding and reason: how many, the first few files, the reason.

    Reasons that differ from file to file, by a size or a name, share a line, which has the first of them.
    """
    lines = []
    for code, _ in Counter(finding.code for finding in findings).most_common():
        those = [finding for finding in findings if finding.code == code]
        reasons = dict.fromkeys(finding.reason for finding in those)
        if len(reasons) > NAMES_SHOWN:
            lines.append(_finding(word, those, f"e.g. {those[0].reason}"))
            continue
        lines += [_finding(word, [one for one in those if one.reason == reason], reason) for reason in reasons]
    return lines


def _finding(word: str, those: Sequence[Finding], reason: str) -> str:
    names = ", ".join(Path(finding.file).name for finding in those[:NAMES_SHOWN])
    more = f" and {len(those) - NAMES_SHOWN} more" if len(those) > NAMES_SHOWN else ""
    return f"{word}: {len(those)} {those[0].code.replace('_', ' ')}: {names}{more}: {reason.rstrip('.')}."
