"""Losses of published projects, put together from PyTorch's and MONAI's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from pipeline.published.outputs import grey_value, nested_logits

__all__ = ["OnGreyLevels", "OnSigmoids", "Powered", "Total"]


class OnSigmoids(nn.Module):
    """A loss of sigmoid channels, for the class scores of `NestedSigmoids`.

    Args:
        loss: Takes logits and targets of one shape, such as `torch.nn.BCEWithLogitsLoss`.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """The loss.

        Args:
            scores: Shape (B, classes, W, H).
            label: Class indices, shape (B, 1, W, H); a channel's target is its class and all classes inside it.
        """
        logits = nested_logits(scores)
        inside = torch.arange(1, scores.shape[1], device=label.device).reshape(1, -1, 1, 1)
        loss: torch.Tensor = self.loss(logits, (label >= inside).to(logits.dtype))
        return loss


class OnGreyLevels(nn.Module):
    """A loss of one grey value, for the class scores of `GreyLevels`.

    Args:
        loss: Takes values and targets between 0 and 1 of one shape.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """The loss.

        Args:
            scores: Shape (B, classes, W, H).
            label: Class indices, shape (B, 1, W, H); the target of class k of K is the grey level k / (K - 1).
        """
        value = grey_value(scores)
        loss: torch.Tensor = self.loss(value, label.to(value.dtype) / (scores.shape[1] - 1))
        return loss


class Powered(nn.Module):
    """A loss raised to a power.

    Args:
        loss: Never negative, such as a Dice loss.
        gamma: The exponent; above 1 it turns to what is still far off, 1 changes nothing.
    """

    def __init__(self, loss: nn.Module, gamma: float) -> None:
        super().__init__()
        self.loss = loss
        self.gamma = gamma

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss, of what the inner one takes."""
        # Rounding makes a perfect Dice loss a little negative, which has no root.
        inner: torch.Tensor = self.loss(prediction, target)
        return inner.clamp_min(torch.finfo(inner.dtype).tiny) ** self.gamma


class Total(nn.Module):
    """The sum of several losses of the same prediction.

    Args:
        losses: Each takes prediction and target.
    """

    def __init__(self, losses: Sequence[nn.Module]) -> None:
        super().__init__()
        self.losses = nn.ModuleList(losses)

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The sum."""
        return torch.stack([loss(prediction, target) for loss in self.losses]).sum()
