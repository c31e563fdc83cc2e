"""Overlap of a predicted and a reference mask, from their four pixel counts."""

from __future__ import annotations

import torch
from monai.metrics import compute_confusion_matrix_metric

__all__ = ["EMPTY_MASK_POLICY", "OVERLAP_METRICS", "overlap_scores"]

# Our column: MONAI's name of it. Over pixels Dice and F1 are one number; both stand here because readers look for both.
OVERLAP_METRICS = {
    "dice": "f1 score",
    "iou": "threat score",
    "precision": "precision",
    "recall": "sensitivity",
    "accuracy": "accuracy",
    "f1": "f1 score",
}

EMPTY_MASK_POLICY = (
    "A class that is absent from both reference and prediction has no Dice, IoU, precision, recall or F1 in that case: "
    "the cell is empty and left out of every mean. A class that is absent from only one of the two scores 0. "
    "Accuracy is always defined."
)


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
    counts = torch.stack([part.sum(dim=1) for part in parts], dim=-1).double()
    true_pos, false_pos, _, false_neg = counts.unbind(dim=-1)
    absent = (true_pos + false_pos + false_neg) == 0
    one_sided = ~absent & (true_pos == 0)
    scores: dict[str, torch.Tensor] = {}
    for name, monai_name in OVERLAP_METRICS.items():
        value = compute_confusion_matrix_metric(monai_name, counts)
        if name != "accuracy":
            value = torch.where(one_sided, torch.zeros_like(value), value)
            value = torch.where(absent, torch.full_like(value, torch.nan), value)
        scores[name] = value
    scores["reference_pixels"] = true_pos + false_neg
    scores["predicted_pixels"] = true_pos + false_pos
    return scores
