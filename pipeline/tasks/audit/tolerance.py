"""When two numbers count as the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.errors import InvalidOption

__all__ = ["AuditTolerance"]


@dataclass(frozen=True)
class AuditTolerance:
    """How much a number may differ when it is computed again.

    The same versions on the same kind of processor give the same digits. Another processor or another version of the
    libraries rounds differently (bfloat16 most of all), which turns single pixels at a contour.

    Attributes:
        share: For shares of 1 such as Dice; of a relative error as large as its value, where that is above 1.
        distance: For distances, in their own unit: mm or pixels.
    """

    share: float = 0.001
    distance: float = 0.1

    def __post_init__(self) -> None:
        for value in (self.share, self.distance):
            if not math.isfinite(value) or value < 0:
                raise InvalidOption(f"A tolerance of {value} cannot be used; expected a number of 0 or more.")

    @property
    def words(self) -> str:
        """The rule in one line."""
        return f"shares within {self.share:g}, distances within {self.distance:g} mm or pixels, in each case and mean"

    def allows(self, before: float, after: float, *, distance: bool) -> bool:
        """Whether two values count as the same; two that are undefined do."""
        if math.isnan(before) or math.isnan(after):
            return math.isnan(before) and math.isnan(after)
        limit = self.distance if distance else self.share * max(1.0, abs(before))
        return abs(after - before) <= limit + 1e-9
