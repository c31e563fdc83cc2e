"""From signals to the Dice that a prediction is likely to have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.gate.reference import folds_of

__all__ = ["Band", "DiceModel", "dice_band", "held_out_predictions", "lowest_acceptable"]

# Errors below this are all the same to us, and logarithms need it.
SMALLEST = 0.002
RIDGE = 5.0
FOLDS = 5
# Without counting the next prediction: with fewer than so many kept, none of them bad says nothing.
FEWEST_KEPT = 10


@dataclass(frozen=True)
class DiceModel:
    """The error 1 − Dice as a product of powers of 1 − confidence and 1 − agreement, never falling in either.

    Attributes:
        factor: Of the product.
        confidence: Exponent of 1 − confidence.
        agreement: Exponent of 1 − agreement.
    """

    factor: float
    confidence: float
    agreement: float

    @classmethod
    def fit(
        cls,
        confidence: NDArray[np.float64],
        agreement: NDArray[np.float64],
        dice: NDArray[np.float64],
        weights: NDArray[np.float64] | None = None,
    ) -> DiceModel:
        """Ridge regression of the logarithms with exponents of 0 or more.

        Args:
            confidence: Of each prediction.
            agreement: Of each prediction.
            dice: What each scored.
            weights: How much each counts; all the same if not given.
        """
        from scipy.optimize import nnls  # a third of a second, which only fitting is worth

        share = np.ones(len(dice)) if weights is None else weights * len(dice) / weights.sum()
        signals = np.stack([_log_error(confidence), _log_error(agreement)], axis=1)
        wanted = _log_error(dice)
        mean, middle = np.average(signals, axis=0, weights=share), np.average(wanted, weights=share)
        spread = np.maximum(np.sqrt(np.average((signals - mean) ** 2, axis=0, weights=share)), 1e-6)
        # The penalty as rows of its own: least squares with it is ridge regression.
        root = np.sqrt(share)
        rows = np.vstack([(signals - mean) / spread * root[:, None], np.sqrt(RIDGE) * np.eye(2)])
        powers = nnls(rows, np.concatenate([(wanted - middle) * root, np.zeros(2)]))[0] / spread
        error = np.exp(middle + (signals - mean) @ powers)
        # The mean of a logarithm is not the logarithm of the mean: the errors are brought to the right sum.
        factor = float(np.exp(middle - mean @ powers) * (share @ np.exp(wanted)) / (share @ error))
        return cls(factor, float(powers[0]), float(powers[1]))

    def predict(self, confidence: NDArray[np.float64], agreement: NDArray[np.float64]) -> NDArray[np.float64]:
        """The predicted Dice, 0 to 1."""
        error = self.factor * np.exp(self.confidence * _log_error(confidence) + self.agreement * _log_error(agreement))
        return np.asarray(np.clip(1 - (error - SMALLEST), 0, 1), dtype=np.float64)

    def document(self) -> dict[str, float]:
        """For the gate's JSON."""
        return {name: float(f"{getattr(self, name):.6g}") for name in ("factor", "confidence", "agreement")}


def held_out_predictions(
    confidence: NDArray[np.float64],
    agreement: NDArray[np.float64],
    dice: NDArray[np.float64],
    groups: Sequence[str],
    weights: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    """The Dice that is predicted for each case by a model of other subjects' cases, (cases,).

    Returns: None if all cases are of one subject: there are no others to learn from.
    """
    folds = folds_of(groups, FOLDS)
    if len(np.unique(folds)) < 2:
        return None
    predicted = np.zeros(len(dice))
    for fold in np.unique(folds):
        out = folds == fold
        model = DiceModel.fit(confidence[~out], agreement[~out], dice[~out], weights[~out])
        predicted[out] = model.predict(confidence[out], agreement[out])
    return predicted


@dataclass(frozen=True)
class Band:
    """An interval for the Dice: the predicted error, 1 − Dice, times two factors.

    Attributes:
        level: Share of predictions that are to lie within.
        most: Factor for the lower end of the Dice, above 1.
        least: Factor for its upper end, below 1.
    """

    level: float
    most: float
    least: float

    def interval(self, predicted: float) -> tuple[float, float]:
        """The interval at a predicted Dice."""
        error = 1 - predicted + SMALLEST
        return max(0.0, 1 - error * self.most + SMALLEST), min(1.0, 1 - error * self.least + SMALLEST)

    def document(self) -> dict[str, float]:
        """For the gate's JSON."""
        return {name: float(f"{getattr(self, name):.6g}") for name in ("level", "most", "least")}


def dice_band(
    predicted: NDArray[np.float64], dice: NDArray[np.float64], groups: Sequence[str], level: float = 0.9
) -> Band:
    """A conformal interval from the ratios of true and predicted errors.

    Subjects are drawn, not predictions: ten variants of one picture err alike. Each subject therefore weighs the same,
    and one more, whose error may be anything, stands for the next.

    Args:
        predicted: Held-out predictions.
        dice: What they scored.
        groups: Each prediction's subject.
        level: Share that the interval is to hold. Fewer than 2 / (1 - level) - 1 subjects cannot hold it: the level is
            then what the least and the greatest of their ratios do hold.
    References: Lee, Barber and Willett, Distribution-free inference with hierarchical data, arXiv:2306.06342.
    """
    _, subject, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    level = min(level, max(0.0, 1 - 2 / (len(sizes) + 1)))
    ratio = _log_error(dice) - _log_error(predicted)
    order = np.argsort(ratio, kind="stable")
    weights = 1 / (sizes[subject[order]] * (len(sizes) + 1))
    # What the next subject leaves of a tail may lie outside.
    tail = (1 - level) / 2 - 1 / (len(sizes) + 1) + 1e-9
    below = int(np.searchsorted(np.cumsum(weights), tail, side="right"))
    above = int(np.searchsorted(np.cumsum(weights[::-1]), tail, side="right"))
    ranked = np.exp(ratio[order])
    return Band(
        round(level, 3),
        max(1.0, float(ranked[max(len(ranked) - 1 - above, 0)])),
        min(1.0, float(ranked[min(below, len(ranked) - 1)])),
    )


def lowest_acceptable(
    predicted: NDArray[np.float64], dice: NDArray[np.float64], minimum: float, risk: float, *, next_counts: bool = True
) -> float | None:
    """The lowest predicted Dice from which upwards few enough predictions are worse than they may be.

    Args:
        predicted: Held-out predictions.
        dice: What they scored.
        minimum: The Dice that an accepted prediction should have.
        risk: Share of the accepted that may fall short of it.
        next_counts: Count the next prediction as one that falls short, which makes the share hold for it as well.
    Returns: The limit; None if even the best predictions fall short too often, or are too few to tell.
    References: Angelopoulos et al., Conformal risk control, ICLR 2024.
    """
    order = np.argsort(-predicted, kind="stable")
    bad = np.cumsum(dice[order] < minimum)
    kept = np.arange(1, len(dice) + 1)
    share = (bad + 1) / (kept + 1) if next_counts else np.where(kept >= FEWEST_KEPT, bad / kept, 1.0)
    # A limit takes all of those that are predicted alike, or none of them.
    ranked = predicted[order]
    last = np.r_[ranked[1:] != ranked[:-1], True]
    good = np.flatnonzero((share <= risk) & last)
    return float(ranked[good[-1]]) if len(good) else None


def _log_error(dice: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(1 - np.clip(dice, 0, 1) + SMALLEST)
