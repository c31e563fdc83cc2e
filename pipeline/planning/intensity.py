"""How pixel values become the network's input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.planning.choice import Step

__all__ = ["Normalisation", "choose_normalisation"]

AIR_HU = -500  # values below it in a CT say that they are Hounsfield units, not a display window
HU_RANGE = (-1024, 3071)


@dataclass(frozen=True)
class Normalisation:
    """Pixel values to about zero mean and unit spread.

    Attributes:
        kind: "hu_window", "colour" or "percentiles".
        channels: Of the network's input.
        scale: To about 0…1, before the augmentation.
        standardise: The z-score, after it.
    """

    kind: str
    channels: int
    scale: Step
    standardise: Step


def choose_normalisation(fingerprint: Mapping[str, Any], neighbours: int = 0) -> Normalisation:
    """A HU window for CT in Hounsfield units, channel statistics for colour, else the picture's own percentiles.

    Args:
        fingerprint: Of the data.
        neighbours: Slices to either side that are channels beside the slice's own, which are grey then.
    """
    chosen = _of_pictures({**fingerprint, "channels": 1} if neighbours else fingerprint)
    return replace(chosen, channels=2 * neighbours + 1) if neighbours else chosen


def _of_pictures(fingerprint: Mapping[str, Any]) -> Normalisation:
    intensity = fingerprint["intensity"]
    if fingerprint["channels"] == 3:
        return Normalisation(
            "colour",
            3,
            Step(
                "ScaleIntensityRangePercentilesd",
                {"lower": 0.5, "upper": 99.5, "b_min": 0.0, "b_max": 1.0, "clip": True},
                why="Colour: the three channels are stretched together, which keeps the hue that tells tissues apart.",
            ),
            Step("NormalizeIntensityd", {"channel_wise": True}, why="Each channel by its own mean and spread."),
        )
    if fingerprint["modality"] == "CT" and intensity["all"]["p00_5"] < AIR_HU:
        low, high = _window(intensity)
        held = "99% of the labelled pixels"
        held += " and 90% of the others" if intensity["outside"] else " (there are no others)"
        return Normalisation(
            "hu_window",
            1,
            Step(
                "ScaleIntensityRanged",
                {"a_min": low, "a_max": high, "b_min": 0.0, "b_max": 1.0, "clip": True},
                why=f"Hounsfield units mean the same on every scanner: one window, {low:g} to {high:g} HU, which holds "
                f"{held}.",
            ),
            Step("NormalizeIntensityd", {}),
        )
    spread = intensity["between_cases"]["mean"]
    return Normalisation(
        "percentiles",
        1,
        Step(
            "ScaleIntensityRangePercentilesd",
            {"lower": 0.5, "upper": 99.5, "b_min": 0.0, "b_max": 1.0, "clip": True},
            why="Grey values have no unit here (means of the pictures from "
            f"{spread['p05']:.4g} to {spread['p95']:.4g}): each picture by its own percentiles, because markers, "
            "borders and burnt-in text are brighter or darker than what is looked at.",
        ),
        Step("NormalizeIntensityd", {}),
    )


def _window(intensity: Mapping[str, Any]) -> tuple[float, float]:
    inside, outside = intensity["inside"], intensity["outside"] or intensity["inside"]
    low = min(inside["p00_5"], outside["p05"])
    high = max(inside["p99_5"], outside["p95"])
    lower, upper = (max(HU_RANGE[0], math.floor(low / 10) * 10), min(HU_RANGE[1], math.ceil(high / 10) * 10))
    return float(lower), float(max(upper, lower + 10))
