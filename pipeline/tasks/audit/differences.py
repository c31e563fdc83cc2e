"""Counting what was compared, and keeping what differs."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Differences"]


@dataclass
class Differences:
    """What a comparison came to. Each thing that differs was compared: there are never more wrong ones.

    Attributes:
        compared: Numbers and facts that were compared.
        wrong: Each that differs.
    """

    compared: int = 0
    wrong: list[str] = field(default_factory=list)

    def note(self, same: bool, line: str) -> None:
        """One comparison, and what to say of it where it failed."""
        self.compared += 1
        if not same:
            self.wrong.append(line)
