"""Whether a network is right as often as it says: reliability bins and the expected calibration error."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pipeline.metrics.box import bounding_box

__all__ = ["CALIBRATION_RULE", "N_BINS", "Reliability", "relevant_box", "top_class"]

N_BINS = 20
MARGIN = 0.1

CALIBRATION_RULE = (
    "Confidence is the probability of a pixel's most probable class, before any refinement of the mask; accuracy is "
    f"how often that class is the reference's. {N_BINS} bins of equal width, closed below, the last one closed on both "
    "sides; ECE is the mean over pixels of |accuracy − confidence| of their bin. Only pixels near the foreground "
    "count: those in the box around all that reference or prediction call foreground, widened on each side by "
    f"{MARGIN:.0%} of its length there (the whole image if there is no foreground), because background far away is "
    "right and sure and would hide the rest. calibration.csv and calibration.ece pool the pixels of all images; the "
    "column ece is of one image."
)


class Reliability:
    """Counts of pixels by confidence.

    MONAI's `calibration_binning` sums in float32, which loses pixels beyond 2^24 in a bin; this counts exactly.

    References: Guo et al., On calibration of modern neural networks, ICML 2017; the box around the foreground:
        Mehrtash et al., IEEE Transactions on Medical Imaging 39 (2020).
    """

    def __init__(self, bins: int = N_BINS) -> None:
        self.pixels = np.zeros(bins, dtype=np.int64)
        self.confidence = np.zeros(bins)
        self.correct = np.zeros(bins, dtype=np.int64)

    def add(self, confidence: npt.NDArray[np.floating], correct: npt.NDArray[np.bool_]) -> None:
        """Count pixels: their confidence, from 0 to 1, and whether the class was right; arrays of one shape."""
        bins = len(self.pixels)
        sure = confidence.astype(np.float64).ravel()
        number = np.clip((sure * bins).astype(np.int64), 0, bins - 1)
        self.pixels += np.bincount(number, minlength=bins)
        self.confidence += np.bincount(number, weights=sure, minlength=bins)
        self.correct += np.bincount(number[correct.ravel()], minlength=bins)

    def merge(self, other: Reliability) -> None:
        """Count another's pixels too."""
        self.pixels += other.pixels
        self.confidence += other.confidence
        self.correct += other.correct

    def ece(self) -> float:
        """Expected calibration error, from 0 to 1; NaN without pixels."""
        total = int(self.pixels.sum())
        return float(np.abs(self.correct - self.confidence).sum() / total) if total else math.nan

    def rows(self) -> list[dict[str, float | int | None]]:
        """For each bin its edges, pixels, mean confidence and accuracy; None for those two where it is empty."""
        bins = len(self.pixels)
        return [
            {
                "bin_low": k / bins,
                "bin_high": (k + 1) / bins,
                "pixels": int(n),
                "confidence": float(self.confidence[k] / n) if n else None,
                "accuracy": float(self.correct[k] / n) if n else None,
            }
            for k, n in enumerate(self.pixels)
        ]


def top_class(
    probabilities: npt.NDArray[np.floating],
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.uint8]]:
    """The most probable class of each pixel, the first of equals, and its probability.

    Args:
        probabilities: (classes, W, H).
    Returns: Probability and class index, (W, H).
    """
    # An arg-max over the first axis walks through memory in strides: ten times as long on a large film.
    best = probabilities[0].copy()
    index = np.zeros(best.shape, dtype=np.uint8)
    for number in range(1, len(probabilities)):
        index[probabilities[number] > best] = number
        np.maximum(best, probabilities[number], out=best)
    return best, index


def relevant_box(
    prediction: npt.NDArray[np.integer], reference: npt.NDArray[np.integer], margin: float = MARGIN
) -> tuple[slice, ...]:
    """The box around all foreground of two masks of class indices, widened by a share of its sides; else everything."""
    foreground = (prediction != 0) | (reference != 0)
    box = bounding_box(foreground)
    if box is None:
        return (slice(None),) * foreground.ndim
    wider = [math.ceil(margin * (side.stop - side.start)) for side in box]
    return tuple(slice(max(0, side.start - more), side.stop + more) for side, more in zip(box, wider, strict=True))
