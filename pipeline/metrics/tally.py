"""Scoring one case after another, whatever the predictions come from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import GeometryMismatch, UnknownLabel
from pipeline.fragments import split_fragment
from pipeline.metrics.boundary import boundary_scores
from pipeline.metrics.calibration import Reliability, relevant_box, top_class
from pipeline.metrics.definitions import OVERLAP_METRICS, Tolerance
from pipeline.metrics.overlap import confusion_matrix, overlap_of_confusion

__all__ = ["Tally"]


class Tally:
    """The scores of the cases so far: a row for each image and class, and what is pooled over all of them.

    Args:
        labels: Class index → name, from 0, the background, which gets no row.
        tolerance: Of the surface Dice.

    Attributes:
        rows: The rows of `cases.csv`.
        confusion: Pixels by reference class (row) and predicted class (column), (classes, classes).
        reliability: Calibration over all images that came with probabilities.
        faults: What could not be measured, by image.
    """

    def __init__(self, labels: Mapping[int, str], tolerance: Tolerance | None = None) -> None:
        self.labels = {int(index): str(name) for index, name in sorted(labels.items())}
        self.tolerance = tolerance or Tolerance()
        self.rows: list[dict[str, Any]] = []
        self.images: list[str] = []
        self.confusion = np.zeros((len(self.labels), len(self.labels)), dtype=np.int64)
        self.reliability = Reliability()
        self.faults: list[str] = []

    def add(
        self,
        image: str,
        prediction: npt.NDArray[np.integer[Any]],
        reference: npt.NDArray[np.integer[Any]],
        *,
        subject: str | None = None,
        image_sha256: str = "",
        spacing_mm: Sequence[float] | None = None,
        probabilities: npt.NDArray[np.floating[Any]] | None = None,
        mask: str = "",
    ) -> None:
        """Score one case.

        Args:
            image: Its name, relative to the datalist; goes into the tables.
            prediction: Class indices, (W, H), indexed [x, y].
            reference: Class indices on the same grid.
            subject: Whom it belongs to; None: the image, or the volume that it is a slice of, is a subject of its own.
            image_sha256: Digest of the image's pixels.
            spacing_mm: Pixel size (x, y), mm; None or NaN where it is unknown, which makes the distances pixels.
            probabilities: Of the classes, (classes, W, H), for the calibration; None: not measured.
            mask: Where the predicted mask is, relative to the tables.

        Raises:
            GeometryMismatch: if prediction and reference differ in size.
            UnknownLabel: if one of them has a class that `labels` does not.
        """
        self._check(image, prediction, reference)
        spacing = _known(spacing_mm)
        unit = "px" if spacing is None else "mm"
        pixel = (1.0,) * prediction.ndim if spacing is None else spacing
        confusion = confusion_matrix(prediction, reference, len(self.labels))
        overlap = overlap_of_confusion(confusion)
        ece = self._calibrate(image, prediction, reference, probabilities)
        case = {"image": image, "image_sha256": image_sha256, "subject": subject or split_fragment(image)[0]}
        for index, label in self.labels.items():
            if index == 0:
                continue
            wanted, found = (int(overlap[name][index]) for name in ("reference_pixels", "predicted_pixels"))
            self.rows.append(
                {
                    **case,
                    "class": label,
                    **{metric: float(overlap[metric][index]) for metric in OVERLAP_METRICS},
                    **boundary_scores(
                        prediction == index, reference == index, spacing=pixel, tolerance=self.tolerance.within(unit)
                    ),
                    "distance_unit": unit,
                    "area_error": (found - wanted) / wanted if wanted else math.nan,
                    "reference_pixels": wanted,
                    "predicted_pixels": found,
                    "reference_area": wanted * math.prod(pixel),
                    "predicted_area": found * math.prod(pixel),
                    "ece": ece,
                    "mask": mask,
                }
            )
        self.confusion += confusion
        self.images.append(image)

    def rename(self, names: Sequence[str]) -> None:
        """Give the images other names, in the order in which they came; a subject that is an image goes with it."""
        new = dict(zip(self.images, names, strict=True))
        for row in self.rows:
            if row["subject"] == split_fragment(row["image"])[0]:
                row["subject"] = split_fragment(new[row["image"]])[0]
            row["image"] = new[row["image"]]
        for old, name in new.items():
            self.faults = [line.replace(f"{old}:", f"{name}:", 1) for line in self.faults]
        self.images = list(names)

    def cases(self) -> pd.DataFrame:
        """The rows as a table."""
        return pd.DataFrame(self.rows)

    def _calibrate(
        self,
        image: str,
        prediction: npt.NDArray[np.integer[Any]],
        reference: npt.NDArray[np.integer[Any]],
        probabilities: npt.NDArray[np.floating[Any]] | None,
    ) -> float:
        if probabilities is None:
            return math.nan
        box = relevant_box(prediction, reference)
        confidence, top = top_class(probabilities[(slice(None), *box)])
        if not np.isfinite(confidence).all():
            self.faults.append(f"{image}: the network's probabilities are no numbers everywhere; no calibration error.")
            return math.nan
        here = Reliability()
        here.add(confidence, top == reference[box])
        self.reliability.merge(here)
        return here.ece()

    def _check(self, image: str, prediction: npt.NDArray[Any], reference: npt.NDArray[Any]) -> None:
        if prediction.shape != reference.shape:
            sizes = ("×".join(map(str, mask.shape)) for mask in (prediction, reference))
            raise GeometryMismatch(
                "{}: the prediction is {}, the mask {}; expected one grid. Run `planar index` again: it refuses such "
                "pairs.".format(image, *sizes)
            )
        for what, mask in (("prediction", prediction), ("mask", reference)):
            low, high = (int(mask.min()), int(mask.max())) if mask.size else (0, 0)
            if low < 0 or high >= len(self.labels):
                raise UnknownLabel(
                    f"{image}: the {what} holds class {low if low < 0 else high}; expected 0 to {len(self.labels) - 1} "
                    f"({', '.join(self.labels.values())}). Index the masks again with these classes."
                )


def _known(spacing_mm: Sequence[float] | None) -> tuple[float, ...] | None:
    """The spacing, or None if any of it is unknown."""
    if spacing_mm is None:
        return None
    spacing = tuple(float(size) for size in spacing_mm)
    return spacing if all(math.isfinite(size) and size > 0 for size in spacing) else None
