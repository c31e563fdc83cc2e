"""Networks with sigmoid channels or one grey level, as networks with a score a class.

Planar's bundles end in one score a class and a soft-max: evaluation, inference, ensembles, calibration and MONAI Label
rely on it. Many published networks end in sigmoids. The modules here turn the one into the other so that the arg-max of
the scores is exactly the published decision, and so that a loss gets the published outputs back.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from pipeline.errors import InvalidOption

__all__ = ["GreyLevels", "NestedSigmoids", "grey_value", "nested_logits"]

# Soft-max of two neighbouring grey levels, at one of them, is exp(-8) to the other.
SHARPNESS = 8.0


class NestedSigmoids(nn.Module):
    """A network with a sigmoid channel for each class, every class inside the one before, as one with a score a class.

    With one channel z the scores are (0, z), whose soft-max is (1 - sigmoid(z), sigmoid(z)). With a disc and the cup in
    it, z₁ and z₂, they are (0, z₁, max(0, z₁) + z₂): cup where sigmoid(z₂) > ½, else disc where sigmoid(z₁) > ½, else
    background, as the two sigmoids cut at ½ have it.

    Args:
        network: Gives one channel a class, without the background and without an activation.
        labels: Class index → name, background first.
        channels: That it has.
    Raises: InvalidOption: if the classes are not one more than the channels.
    """

    def __init__(self, network: nn.Module, labels: Mapping[int, str], channels: int = 1) -> None:
        super().__init__()
        if len(labels) != channels + 1:
            raise InvalidOption(
                f"A network of {channels} sigmoid channel{'s' * (channels > 1)} tells {channels + 1} classes, the data "
                f"have {len(labels)} ({', '.join(map(str, labels.values()))}). Take a recipe for as many classes, or "
                "the bundle without one."
            )
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Class scores, shape (B, channels + 1, W, H), float32, for an image (B, C, W, H)."""
        logits = self.network(image).float()
        highest = torch.zeros_like(logits[:, :1])
        scores = [highest]
        for channel in range(logits.shape[1]):
            scores.append(highest + logits[:, channel : channel + 1])
            highest = torch.maximum(highest, scores[-1])
        return torch.cat(scores, dim=1)


def nested_logits(scores: torch.Tensor) -> torch.Tensor:
    """The channels of `NestedSigmoids`' network, shape (B, channels, …), from its scores (B, channels + 1, …)."""
    return scores[:, 1:] - scores.cummax(dim=1).values[:, :-1]


class GreyLevels(nn.Module):
    """A network that paints one grey value between 0 and 1, as one with a score a class.

    Class k of K is the level k / (K - 1); the class whose level is nearest to the grey value has the highest score,
    which is the published quantisation (0, ½, 1 for three classes).

    Args:
        network: Gives one channel, without an activation; its sigmoid is the grey value.
        labels: Class index → name, in the order of their levels.
    Raises: InvalidOption: for a single class.
    """

    def __init__(self, network: nn.Module, labels: Mapping[int, str]) -> None:
        super().__init__()
        if len(labels) < 2:
            raise InvalidOption(f"Grey levels tell two classes or more, the data have {len(labels)}.")
        self.network = network
        self.classes = len(labels)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Class scores, shape (B, classes, W, H), float32, for an image (B, C, W, H)."""
        value = torch.sigmoid(self.network(image).float())
        levels = torch.linspace(0.0, 1.0, self.classes, device=value.device).reshape(1, -1, 1, 1)
        return -SHARPNESS * (self.classes - 1) ** 2 * (value - levels) ** 2


def grey_value(scores: torch.Tensor) -> torch.Tensor:
    """The grey value of `GreyLevels`' network, shape (B, 1, …), from its scores (B, classes, …).

    The scores of the first and the last level are -s·v² and -s·(v - 1)²; their difference is s·(2v - 1).
    """
    steepness = SHARPNESS * (scores.shape[1] - 1) ** 2
    return 0.5 + (scores[:, -1:] - scores[:, :1]) / (2 * steepness)
