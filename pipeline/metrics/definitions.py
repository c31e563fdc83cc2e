"""What is measured: each metric's name, unit, direction and rule, in one place for tables, pages and checks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import InvalidOption

__all__ = ["DISTANCE_METRICS", "EMPTY_MASK_POLICY", "METRICS", "OVERLAP_METRICS", "Metric", "Tolerance"]


@dataclass(frozen=True)
class Metric:
    """One column of `cases.csv`.

    Attributes:
        title: As people read it.
        kind: "overlap" and "calibration" are shares of 1, "area" a relative error; "distance" has the case's unit, mm
            or px, in `hd95` and `asd`, and depends on it in `nsd`.
        better: "higher", "lower", or "zero" for a signed error.
        rule: How it is computed, for one class of one image.
    """

    title: str
    kind: str
    better: str
    rule: str

    def unit(self, distance_unit: str) -> str:
        """The unit of its values, "" for a share: `distance_unit` ("mm" or "px") for a length."""
        return distance_unit if self.kind == "distance" and self.better == "lower" else ""


BOUNDARY = (
    "A boundary is the pixels of a mask with one of their four neighbours outside it, the outside of the image "
    "counting as outside; distances go from each boundary pixel's centre to the nearest one of the other mask, in both "
    "directions"
)

METRICS: dict[str, Metric] = {
    "dice": Metric("Dice", "overlap", "higher", "2 TP / (2 TP + FP + FN)"),
    "iou": Metric("IoU", "overlap", "higher", "TP / (TP + FP + FN)"),
    "precision": Metric("Precision", "overlap", "higher", "TP / (TP + FP)"),
    "recall": Metric("Recall", "overlap", "higher", "TP / (TP + FN)"),
    "specificity": Metric(
        "Specificity", "overlap", "higher", "TN / (TN + FP); undefined where the class fills the image"
    ),
    "accuracy": Metric("Accuracy", "overlap", "higher", "(TP + TN) / all pixels"),
    "f1": Metric(
        "F1", "overlap", "higher", "harmonic mean of precision and recall: over pixels the same number as Dice"
    ),
    "hd95": Metric(
        "95 % Hausdorff",
        "distance",
        "lower",
        f"{BOUNDARY}; the 95th percentile (linear between ranks) of each direction, and the larger of the two",
    ),
    "asd": Metric(
        "Surface distance",
        "distance",
        "lower",
        f"Average symmetric surface distance. {BOUNDARY}; the mean over the distances of both directions together",
    ),
    "nsd": Metric(
        "Surface Dice",
        "distance",
        "higher",
        f"Normalised surface Dice. {BOUNDARY}; the share of the boundary pixels of both masks whose distance is within "
        "the tolerance",
    ),
    "area_error": Metric(
        "Area error",
        "area",
        "zero",
        "(predicted − reference) / reference area, signed; undefined where the reference is empty",
    ),
    "ece": Metric(
        "Calibration error",
        "calibration",
        "lower",
        "Expected calibration error of the image, the same for all its classes; see `calibration`",
    ),
}

# Our column: MONAI's name of it. Over pixels Dice and F1 are one number; both stand here because readers look for both.
OVERLAP_METRICS = {
    "dice": "f1 score",
    "iou": "threat score",
    "precision": "precision",
    "recall": "sensitivity",
    "specificity": "specificity",
    "accuracy": "accuracy",
    "f1": "f1 score",
}

DISTANCE_METRICS = tuple(name for name, metric in METRICS.items() if metric.kind == "distance")

EMPTY_MASK_POLICY = (
    "A class that is absent from both reference and prediction has no Dice, IoU, precision, recall, F1, area error or "
    "distance in that image: the cell is empty and left out of every mean. A class that is absent from only one of the "
    "two scores 0 in those overlaps and in normalised surface Dice, and gets the image's diagonal, the worst that is "
    "possible, as 95 % Hausdorff and average surface distance. Area error needs a reference that is not empty. "
    "Accuracy is always defined; specificity wherever the class does not fill the whole image."
)


@dataclass(frozen=True)
class Tolerance:
    """How far off a boundary may be and still count as found, in normalised surface Dice.

    Args:
        mm: Where the image's spacing is known.
        px: Where it is not.
    Raises: InvalidOption: for a negative or infinite distance.
    """

    mm: float = 2.0
    px: float = 2.0

    def __post_init__(self) -> None:
        for unit, value in (("mm", self.mm), ("px", self.px)):
            if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
                raise InvalidOption(
                    f"nsd_tolerance#{unit} is {value!r}; expected a distance of 0 or more, such as 2.0."
                )

    @classmethod
    def of(cls, given: Mapping[str, float] | None) -> Tolerance:
        """From a config's mapping `{mm: 2.0, px: 2.0}`; either may be left out."""
        unknown = set(given or {}) - {"mm", "px"}
        if unknown:
            raise InvalidOption(f"nsd_tolerance has '{sorted(unknown)[0]}'; expected mm and px.")
        return cls(**(given or {}))

    def within(self, unit: str) -> float:
        """The tolerance in "mm" or "px"."""
        return self.mm if unit == "mm" else self.px
