"""Risk and coverage: what is won by leaving out the predictions that look worst."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COVERAGE_RULE", "RiskCoverage", "risk_coverage"]

COVERAGE_RULE = (
    "Predictions are ordered by predicted Dice, those in which nothing was found last. At a coverage c the ⌈c·n⌉ best "
    "are kept. Risk is the mean of 1 − Dice among the kept; AURC its mean over all coverages. The oracle orders by "
    "the Dice itself, chance keeps at random. p5: linear between ranks."
)
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """The curve of a set of predictions.

    Attributes:
        coverage: Share kept, ascending, (n,).
        risk: Mean error of the kept, (n,).
        dice: In the order in which predictions are kept, (n,).
    """

    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]
    dice: NDArray[np.float64]

    @property
    def aurc(self) -> float:
        """Area under the risk–coverage curve."""
        return float(self.risk.mean())

    def at(self, coverage: float) -> dict[str, float]:
        """Number, mean, 5th percentile and worst Dice of what is kept at a coverage."""
        kept = self.dice[: max(1, int(np.ceil(coverage * len(self.dice) - 1e-9)))]
        return {
            "n": len(kept),
            "mean": float(kept.mean()),
            "p5": float(np.quantile(kept, 0.05)),
            "min": float(kept.min()),
        }

    def document(self) -> dict[str, Any]:
        """Figures for JSON."""
        oracle = risk_coverage(self.dice, self.dice)
        return {
            "aurc": round(self.aurc, 6),
            "aurc_oracle": round(oracle.aurc, 6),
            "aurc_chance": round(float(1 - self.dice.mean()), 6),
            "at_coverage": {
                f"{share:g}": {name: round(value, 6) for name, value in self.at(share).items()} for share in COVERAGES
            },
            "rule": COVERAGE_RULE,
        }


def risk_coverage(score: NDArray[np.float64], dice: NDArray[np.float64]) -> RiskCoverage:
    """The risk–coverage curve of predictions.

    Args:
        score: Higher is kept first; ties in the order given.
        dice: What each scored.
    References: Geifman and El-Yaniv, NeurIPS 2017; Jaeger et al., A call to reflect on evaluation practices for
        failure detection, ICLR 2023.
    """
    ordered = dice[np.argsort(-score, kind="stable")]
    kept = np.arange(1, len(ordered) + 1)
    return RiskCoverage(kept / len(ordered), np.cumsum(1 - ordered) / kept, ordered)
