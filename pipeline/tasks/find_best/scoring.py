"""Dice of masks to which something was done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pipeline.metrics.overlap import confusion_matrix
from pipeline.regions import regions_of
from pipeline.tasks.find_best.candidates import Candidate
from pipeline.tasks.find_best.observed import Mask, Observed

__all__ = ["dice_of", "refine", "score_candidates", "subject_means", "transforms_of"]

Array = npt.NDArray[np.float64]


def dice_of(prediction: Mask, reference: Mask, classes: int) -> Array:
    """Dice of each class but the background; 1 where it is absent from both masks, see `rule.RULE`."""
    confusion = confusion_matrix(prediction, reference, classes)
    found, wanted, both = confusion.sum(axis=0), confusion.sum(axis=1), np.diagonal(confusion)
    total = (found + wanted)[1:]
    return np.where(total > 0, 2.0 * both[1:] / np.maximum(total, 1), 1.0)


def refine(prediction: Mask, transforms: Sequence[Callable[[dict[str, Any]], dict[str, Any]]]) -> Mask:
    """The mask after a bundle's `refinement`, (W, H)."""
    case = {"pred": torch.from_numpy(prediction.astype(np.float32))[None]}
    for transform in transforms:
        case = transform(case)
    return np.asarray(torch.as_tensor(case["pred"])[0].cpu()).astype(np.uint8)


def transforms_of(steps: Sequence[dict[str, Any]]) -> list[Callable[[dict[str, Any]], dict[str, Any]]]:
    """Steps of a config as MONAI makes them."""
    from monai.bundle import ConfigParser

    return list(ConfigParser({"refinement": list(steps)}).get_parsed_content("refinement"))


def score_candidates(
    cases: Sequence[Observed],
    label: int,
    classes: int,
    removals: Sequence[Candidate],
    fills: Sequence[Candidate],
    on_case: Callable[[], None] = lambda: None,
) -> Array:
    """Dice of each class in each case, under each removal (the first is none) without and with each filling.

    Args:
        cases: Out of fold.
        label: The class that is changed.
        classes: Number of classes, background included.
        removals: Candidates.
        fills: Candidates, done after the removal.
        on_case: Called after each case.
    Returns: (cases, 1 + removals, 1 + fills, classes − 1).
    """
    first, second = ([[], *([t] for t in transforms_of([c.step for c in part]))] for part in (removals, fills))
    scores = np.empty((len(cases), len(first), len(second), classes - 1))
    for number, case in enumerate(cases):
        prediction, reference = case.masks()
        scores[number] = dice_of(prediction, reference, classes)
        mask = prediction == label
        _, sizes = regions_of(mask)
        # Most masks are of one piece without a hole: nothing can change in them but by the least size.
        smallest = sizes.min() / mask.size if len(sizes) else np.inf
        for i, removal in enumerate(first):
            if i and (not len(sizes) or (len(sizes) == 1 and smallest >= _least_share(removals[i - 1]))):
                scores[number, i] = scores[number, 0]
                continue
            kept = refine(prediction, removal) if removal else prediction
            scores[number, i, :] = dice_of(kept, reference, classes)
            if _has_hole(kept == label):
                for j, fill in enumerate(second[1:], 1):
                    scores[number, i, j] = dice_of(refine(kept, fill), reference, classes)
        on_case()
    return scores


def _least_share(candidate: Candidate) -> float:
    return float(candidate.step.get("min_share", 0.0))


def _has_hole(mask: npt.NDArray[np.bool_]) -> bool:
    """Whether something outside the mask is cut off from the border, by edges and corners as `FillHolesd` sees it."""
    if not mask.any():
        return False
    _, outside = regions_of(np.pad(~mask, 1, constant_values=True))
    return len(outside) > 1


def subject_means(values: Array, cases: Sequence[Observed]) -> tuple[Array, list[int]]:
    """Mean of each subject's cases, and its fold.

    Args:
        values: One row a case.
        cases: In the same order.
    """
    rows: dict[tuple[int, str], list[int]] = {}
    for number, case in enumerate(cases):
        rows.setdefault((case.fold, case.subject), []).append(number)
    means = np.stack([values[numbers].mean(axis=0) for numbers in rows.values()])
    return means, [fold for fold, _ in rows]
