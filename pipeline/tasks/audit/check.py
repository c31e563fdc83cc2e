"""What a check of a record came to, and what all of them come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["SCORED", "Check", "Outcome", "Verdict", "failed", "passed", "skipped"]

# The check that computes numbers again.
SCORED = "scored again"


class Outcome(Enum):
    """PASS: it is as it was recorded. FAIL: it is not. SKIPPED: that could not be told, and is no pass."""

    PASS = "PASS"
    FAIL = "FAIL"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True)
class Check:
    """One line of a verification.

    Attributes:
        about: What was looked at, in a word or two: "images", "checkpoint".
        outcome: What came of it.
        words: What was found, or why it could not be looked at.
        files: Each file, case or metric that is not as it was recorded.
        essential: Whether a record of which this cannot be told must not pass.
    """

    about: str
    outcome: Outcome
    words: str
    files: tuple[str, ...] = ()
    essential: bool = True

    def document(self) -> dict[str, Any]:
        """The check as JSON."""
        return {
            "about": self.about,
            "outcome": self.outcome.value,
            "words": self.words,
            "files": list(self.files),
            "essential": self.essential,
        }


def passed(about: str, words: str) -> Check:
    """It is as it was recorded."""
    return Check(about, Outcome.PASS, words)


def failed(about: str, words: str, files: Sequence[str] = ()) -> Check:
    """It is not as it was recorded."""
    return Check(about, Outcome.FAIL, words, tuple(files))


def skipped(about: str, words: str, *, essential: bool = True) -> Check:
    """It could not be looked at."""
    return Check(about, Outcome.SKIPPED, words, essential=essential)


@dataclass(frozen=True)
class Verdict:
    """All checks of a run.

    Attributes:
        run_id: The run.
        name: Of the run.
        kind: Training, evaluation, ….
        checks: In the order in which they were made.
        tolerance: What "the same number" means, in words.
    """

    run_id: str
    name: str
    kind: str
    checks: tuple[Check, ...]
    tolerance: str = ""

    @property
    def outcome(self) -> Outcome:
        """FAIL if anything failed, SKIPPED if something essential could not be looked at, else PASS."""
        if any(check.outcome is Outcome.FAIL for check in self.checks):
            return Outcome.FAIL
        if any(check.outcome is Outcome.SKIPPED and check.essential for check in self.checks):
            return Outcome.SKIPPED
        return Outcome.PASS

    @property
    def word(self) -> str:
        """PASS, FAIL, or INCOMPLETE: nothing failed, but what matters was not all looked at."""
        return "INCOMPLETE" if self.outcome is Outcome.SKIPPED else self.outcome.value

    @property
    def scored(self) -> bool:
        """Whether numbers were computed again."""
        return any(check.about == SCORED and check.outcome is not Outcome.SKIPPED for check in self.checks)

    @property
    def status(self) -> int:
        """The exit status: 0 for PASS, 1 for FAIL, 3 where something essential could not be looked at."""
        return {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.SKIPPED: 3}[self.outcome]

    @property
    def unseen(self) -> tuple[str, ...]:
        """What was not looked at."""
        return tuple(check.about for check in self.checks if check.outcome is Outcome.SKIPPED)

    def document(self) -> dict[str, Any]:
        """The verdict as JSON."""
        return {
            "run_id": self.run_id,
            "name": self.name,
            "kind": self.kind,
            "outcome": self.word,
            "tolerance": self.tolerance,
            "checks": [check.document() for check in self.checks],
        }
