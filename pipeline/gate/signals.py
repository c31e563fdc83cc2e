"""What a network's own answers say about their quality: how sure they are, and how well they agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClassSignals", "class_signals"]

# What a pass may find of a class that the mask does not have, as a share of the picture, before it counts.
TRACE = 1e-3


@dataclass(frozen=True, eq=False)
class ClassSignals:
    """Signals of each class but the background, arrays of shape (classes - 1,).

    Attributes:
        confidence: Dice between a class's probabilities and the mask made from them: 1 where all are 0 or 1.
        agreement: Mean Dice between the mask and the masks of the changed pictures.
        absent: Whether neither the mask nor any changed picture has the class; there is nothing to judge then.
    """

    confidence: NDArray[np.float64]
    agreement: NDArray[np.float64]
    absent: NDArray[np.bool_]


# Of NumPy or of torch: nothing is asked of them in which the two differ.
Array = Any


def class_signals(probabilities: Array, views: Sequence[tuple[Array, Array]], mask: Array) -> ClassSignals:
    """The signals of one picture, from arrays or tensors.

    Args:
        probabilities: Of the classes, (classes, W, H).
        views: For each changed picture the mask of the picture, moved as it was, and its own mask, both (W, H).
        mask: The most probable class, (W, H).
    References: The soft Dice of a prediction with itself is the Dice that it expects if its probabilities are true:
        Bertels et al., Optimization with soft Dice, IPMI 2021. Agreement of test-time augmentations as a sign of
        quality: Wang et al., Neurocomputing 338:34 (2019).
    """
    classes = probabilities.shape[0]
    confidence, agreement, absent = np.zeros(classes - 1), np.zeros(classes - 1), np.zeros(classes - 1, dtype=bool)
    for index in range(1, classes):
        own = mask == index
        total = float(probabilities[index].sum()) + float(own.sum())
        confidence[index - 1] = 2 * float(probabilities[index][own].sum()) / total if total > 0 else 0.0
        pairs = [(moved == index, found == index) for moved, found in views]
        agreement[index - 1] = np.mean([_dice(*pair) for pair in pairs]) if pairs else 1.0
        seen = max((float(found.sum()) / math.prod(found.shape) for _, found in pairs), default=0.0)
        absent[index - 1] = not bool(own.any()) and seen <= TRACE
    return ClassSignals(confidence, agreement, absent)


def _dice(one: Array, other: Array) -> float:
    """1 if both are empty: they agree."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0
