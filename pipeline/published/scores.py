"""What a published score is computed from, for MONAI's own metric handlers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

__all__ = ["grey_levels"]

Levels = list[torch.Tensor]


def grey_levels(classes: int) -> Callable[[Sequence[Mapping[str, Any]]], tuple[Levels, Levels]]:
    """The `output_transform` with which `monai.handlers.MeanSquaredError` is the quantised mean squared error.

    Prediction and reference become the grey levels of their classes, k / (K - 1) for class k of K, so that a mistaken
    neighbour costs less than a mistaken end of the scale.

    Args:
        classes: K, with the background.
    Returns: A function of the engine's decollated output, in which `pred` and `label` are one-hot, (K, W, H); it gives
        the levels of both, a (1, W, H) each case.
    """

    def levels_of(output: Sequence[Mapping[str, Any]]) -> tuple[Levels, Levels]:
        predicted, expected = (
            [case[key].argmax(dim=0, keepdim=True).float() / (classes - 1) for case in output]
            for key in ("pred", "label")
        )
        return predicted, expected

    return levels_of
