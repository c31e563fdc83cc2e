"""The metrics as a page names, orders and writes them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.metrics import METRICS
from pipeline.report.page import number, percent

__all__ = ["MEASURES", "Measure", "share"]

# What each of them says, for readers who do not know the formula; that stands at the end of the page.
TOLD = {
    "dice": "Twice the common area over the sum of both areas: 1 is the same mask, 0 nothing in common.",
    "iou": "Common area over the area of both together; also Jaccard index.",
    "precision": "Share of the predicted area that is in the reference.",
    "recall": "Share of the reference that is predicted; also sensitivity.",
    "specificity": "Share of what is outside the reference that is left outside.",
    "accuracy": "Share of all pixels that are right; high by itself where a class is small.",
    "f1": "Harmonic mean of precision and recall; of pixels the same number as Dice.",
    "hd95": "How far apart the outlines are where they differ most, but for the worst 5 % of them.",
    "asd": "Average distance between the two outlines.",
    "nsd": "Share of both outlines that lie within the tolerance of each other.",
    "area_error": "Predicted against reference area, of a subject all images together: + too large, − too small.",
    "ece": "Mean gap between how sure the network is and how often it is right.",
}


@dataclass(frozen=True)
class Measure:
    """One metric.

    Attributes:
        key: Its column in cases.csv.
        label: Its name for people.
        better: "higher", "lower", or "zero" for an error with a sign.
        kind: As in `pipeline.metrics.METRICS`.
        meaning: What it says, in one line.
    """

    key: str
    label: str
    better: str
    kind: str
    meaning: str

    @property
    def has_unit(self) -> bool:
        """Whether it is a length."""
        return self.kind == "distance" and self.better == "lower"

    def text(self, value: float | None, *, signed: bool = False) -> str:
        """A value of it; with `signed` as a difference."""
        if value is None or not math.isfinite(value):
            return "–"
        if self.kind == "area":
            text = f"{100 * value:+.1f}\u202f%"
        elif self.has_unit:
            text = f"{'+' * (signed and value > 0)}{number(value)}"
        else:
            text = f"{value:+.3f}" if signed else f"{value:.3f}"
        return text.replace("-", "−") if any(digit in "123456789" for digit in text) else text.lstrip("+-")

    def title(self, unit: str) -> str:
        """Its name with its unit."""
        return f"{self.label}, {unit}" if self.has_unit and unit else self.label


MEASURES = tuple(
    # "95 %" stays on one line.
    Measure(key, metric.title.replace(" %", "\u00a0%"), metric.better, metric.kind, TOLD.get(key, ""))
    for key, metric in METRICS.items()
)


def share(value: float | None) -> str:
    """A share of all as a percentage that never rounds something to nothing, or nearly all to all."""
    if value is not None and 0 < value < 0.0005:
        return "< 0.1 %"
    if value is not None and 0.9995 < value < 1:
        return "> 99.9 %"
    return percent(value)
