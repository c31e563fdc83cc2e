"""The Dice of a training's own batches, without making the host wait for the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ignite.distributed as idist
import torch
from ignite.metrics import Metric

__all__ = ["TrainingDice", "dice_of_scores"]


def dice_of_scores(scores: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """The Dice of each case and each class but the background, as MONAI's `DiceMetric`.

    Args:
        scores: Of the classes, before or after a soft-max, shape (B, classes, …).
        classes: Class indices, shape (B, 1, …).
    Returns: Shape (B, classes − 1); NaN where a case lacks the class.
    """
    # The maximum's place by `max`, which is several times as fast as `argmax` over channels on a CPU.
    found = (scores[:, 1] > scores[:, 0]).to(torch.uint8) if scores.shape[1] == 2 else scores.max(dim=1).indices
    found, true = found.flatten(1), classes[:, 0].flatten(1)
    dice = []
    for number in range(1, scores.shape[1]):
        here, there = found == number, true == number
        both, size = (here & there).sum(1), there.sum(1)
        dice.append(torch.where(size > 0, 2.0 * both / (here.sum(1) + size), torch.nan))
    return torch.stack(dice, dim=1)


class TrainingDice(Metric):
    """Mean Dice over the cases of an epoch, of each the mean over the classes that it has, as MONAI's `MeanDice`.

    MONAI's metric wants hard masks of single cases, and looks at each of them on the host: in a training on a GPU that
    waits for every step, and on a CPU it takes a tenth of one.

    Args:
        output_transform: From the engine's output to scores (B, classes, …) and class indices (B, 1, …).
    """

    def __init__(self, output_transform: Callable[[Any], Any] = lambda output: output) -> None:
        self._dice: list[torch.Tensor] = []
        super().__init__(output_transform)

    def reset(self) -> None:
        """Forget the cases so far."""
        self._dice = []

    def update(self, output: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Add the cases of a batch."""
        scores, classes = output
        self._dice.append(dice_of_scores(scores.detach(), classes))

    def compute(self) -> float:
        """The mean; 0 if no case has a class, as in MONAI."""
        dice = torch.cat(self._dice) if self._dice else torch.zeros(0, 1)
        of_cases = dice.nanmean(dim=1)
        known = ~of_cases.isnan()
        total, count = of_cases[known].sum(), known.sum()
        sums = [float(idist.all_reduce(float(value))) for value in (total, count)]
        return sums[0] / sums[1] if sums[1] else 0.0
