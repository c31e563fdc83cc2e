"""How a figure spreads over the cases: a handful of quantiles."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from pipeline.fingerprint.histogram import Histogram

__all__ = ["Spread", "axial_std_deg", "distribution", "spread", "spread_of"]

Spread = dict[str, float]

QUANTILES = {"min": 0.0, "p05": 0.05, "median": 0.5, "mean": None, "p95": 0.95, "max": 1.0}
OF_PIXELS = {"min": 0.0, "p00_5": 0.005, "p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
OF_PIXELS |= {"p99_5": 0.995, "max": 1.0}


def spread(values: Iterable[float]) -> Spread | None:
    """Quantiles and mean of one figure a case; None without cases."""
    array = np.fromiter(values, np.float64)
    if not array.size:
        return None
    return {
        name: float(array.mean() if share is None else np.quantile(array, share)) for name, share in QUANTILES.items()
    }


def spread_of(histogram: Histogram) -> Spread | None:
    """The same of counted values."""
    if not len(histogram.values):
        return None
    return {name: histogram.mean() if share is None else histogram.quantile(share) for name, share in QUANTILES.items()}


def distribution(histogram: Histogram) -> Spread | None:
    """Quantiles, mean and standard deviation of pixel values; None without pixels."""
    if not len(histogram.values):
        return None
    quantiles = {name: histogram.quantile(share) for name, share in OF_PIXELS.items()}
    return quantiles | {"mean": histogram.mean(), "std": histogram.std()}


def axial_std_deg(angles_rad: Iterable[float], weights: Iterable[float]) -> float:
    """Standard deviation of directions that are the same after half a turn, in degrees; 90 and more is no direction.

    Args:
        angles_rad: Directions.
        weights: How much each counts: a round thing has no direction.
    References: Mardia and Jupp, Directional Statistics, 2.3 and 9.4: doubled angles.
    """
    turned = np.exp(2j * np.fromiter(angles_rad, np.float64))
    heavy = np.fromiter(weights, np.float64)
    if heavy.sum() <= 0:
        return math.nan
    length = float(abs((turned * heavy).sum() / heavy.sum()))
    return math.degrees(math.sqrt(max(0.0, -2 * math.log(min(1.0, max(length, 1e-12)))))) / 2
