"""The Dice of predictions on their images' own grids, as `planar evaluate` computes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import GeometryMismatch
from pipeline.metrics import confusion_matrix
from pipeline.metrics.overlap import overlap_of_confusion
from pipeline.readers import read_mask

__all__ = ["References", "mean_dice"]


class References:
    """Reads the reference masks of datalist items.

    Args:
        n_classes: Number of classes with the background.
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes

    def mask(self, item: dict[str, Any]) -> NDArray[np.uint8]:
        """Class indices of an item's mask, (W, H).

        Raises: what reading or decoding it raises.
        """
        return read_mask(item["label"], str(item.get("label_coding", "index")), self.n_classes)

    def dice(self, mask: NDArray[np.uint8], reference: NDArray[np.uint8], image: str) -> NDArray[np.float64]:
        """Dice of each class but the background, (classes - 1,); NaN where both masks are without it.

        Raises: GeometryMismatch: if the two are not on one grid.
        """
        if mask.shape != reference.shape:
            raise GeometryMismatch(
                f"{image}: the prediction is {_size(mask)}, the mask {_size(reference)}; expected one grid. Run "
                "`planar index` again: it refuses such pairs."
            )
        return overlap_of_confusion(confusion_matrix(mask, reference, self.n_classes))["dice"][1:]


def mean_dice(dice: NDArray[np.float64]) -> float:
    """The mean over the classes that have one; NaN if none has."""
    known = dice[~np.isnan(dice)]
    return float(known.mean()) if len(known) else float("nan")


def _size(mask: NDArray[Any]) -> str:
    return "×".join(map(str, mask.shape))
