"""What the gate says of one prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["REASON_SEPARATOR", "Verdict", "rounded"]

# Between the reasons in one cell of a table.
REASON_SEPARATOR = " | "


@dataclass(frozen=True)
class Verdict:
    """What the gate says of one prediction.

    Attributes:
        decision: "accept" or "review".
        reasons: Why it needs review, in plain words.
        predicted_dice: Mean over the classes that were found; None where none was.
        interval: In which the Dice is likely to lie; None beyond the distance limit, where nothing is known.
        by_class: Predicted Dice by class name; None where the class was not found.
        distance: From the training pictures: 1 is as far as all but 1 % of pictures of their own kind.
    """

    decision: str
    reasons: tuple[str, ...]
    predicted_dice: float | None
    interval: tuple[float, float] | None
    by_class: Mapping[str, float | None]
    distance: float

    @property
    def cell(self) -> str:
        """The reasons as one cell of a table."""
        return REASON_SEPARATOR.join(self.reasons)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "decision": self.decision,
            "reasons": list(self.reasons),
            "predicted_dice": rounded(self.predicted_dice),
            "predicted_dice_interval": None if self.interval is None else [rounded(end) for end in self.interval],
            "predicted_dice_by_class": {name: rounded(value) for name, value in self.by_class.items()},
            "distance": rounded(self.distance),
        }


def rounded(value: float | None) -> float | None:
    """Four decimals for JSON; None for what is no number."""
    return None if value is None or not math.isfinite(value) else round(float(value), 4)
