"""Overlap of a predicted and a reference mask, from their four pixel counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics import compute_confusion_matrix_metric

from pipeline.metrics.definitions import OVERLAP_METRICS

__all__ = ["confusion_matrix", "overlap_of_confusion", "overlap_scores"]


def overlap_scores(prediction: torch.Tensor, reference: torch.Tensor) -> dict[str, torch.Tensor]:
    """Overlap metrics of each class of one case.

    Args:
        prediction: One-hot mask, shape (classes, W, H).
        reference: One-hot mask on the same grid.
    Returns: For each name in `OVERLAP_METRICS` a float tensor of shape (classes,), NaN where undefined (see
        `EMPTY_MASK_POLICY`); and "reference_pixels" and "predicted_pixels".
    References: Maier-Hein et al., Metrics Reloaded, Nature Methods 21 (2024); the formulas are MONAI's.
    """
    # MONAI's get_confusion_matrix counts in float32, which loses pixels above 2^24: a large mammogram, or a volume.
    found, wanted = (torch.as_tensor(mask).bool().flatten(start_dim=1) for mask in (prediction, reference))
    parts = (found & wanted, found & ~wanted, ~found & ~wanted, ~found & wanted)
    return _scores(torch.stack([part.sum(dim=1) for part in parts], dim=-1).double())


def confusion_matrix(
    prediction: npt.NDArray[np.integer[Any]], reference: npt.NDArray[np.integer[Any]], classes: int
) -> npt.NDArray[np.int64]:
    """How many pixels of each reference class were predicted as each class.

    Args:
        prediction: Class indices below `classes`, (W, H).
        reference: Class indices on the same grid.
        classes: Number of classes, background included.
    Returns: Counts, (classes, classes): reference by row, prediction by column.
    """
    # Few bytes and torch's bincount: the masks may have 10⁷ pixels.
    dtype = torch.uint8 if classes**2 <= 256 else torch.int64
    found, wanted = (torch.from_numpy(np.ascontiguousarray(mask)).to(dtype) for mask in (prediction, reference))
    counts = torch.bincount((wanted * classes + found).flatten(), minlength=classes**2)
    return np.asarray(counts.numpy(), dtype=np.int64).reshape(classes, classes)


def overlap_of_confusion(confusion: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.float64]]:
    """As `overlap_scores`, from a case's confusion matrix, (classes, classes), reference by row."""
    true_pos = np.diagonal(confusion)
    false_pos, false_neg = confusion.sum(axis=0) - true_pos, confusion.sum(axis=1) - true_pos
    true_neg = confusion.sum() - true_pos - false_pos - false_neg
    counts = np.stack([true_pos, false_pos, true_neg, false_neg], axis=-1).astype(np.float64)
    return {name: value.numpy() for name, value in _scores(torch.from_numpy(counts)).items()}


def _scores(counts: torch.Tensor) -> dict[str, torch.Tensor]:
    """From TP, FP, TN, FN along the last axis, float64, which is the order of MONAI's."""
    true_pos, false_pos, _, false_neg = counts.unbind(dim=-1)
    absent = (true_pos + false_pos + false_neg) == 0
    one_sided = ~absent & (true_pos == 0)
    scores: dict[str, torch.Tensor] = {}
    for name, monai_name in OVERLAP_METRICS.items():
        value = compute_confusion_matrix_metric(monai_name, counts)
        if name not in ("accuracy", "specificity"):
            value = torch.where(one_sided, torch.zeros_like(value), value)
            value = torch.where(absent, torch.full_like(value, torch.nan), value)
        scores[name] = value
    scores["reference_pixels"] = true_pos + false_neg
    scores["predicted_pixels"] = true_pos + false_pos
    return scores
