"""Looking over the network's shoulder while it predicts: what the gate judges by."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from pipeline.gate import FeatureTap, View, class_signals, members_of
from pipeline.networks import best_dtype
from pipeline.tasks.infer.prediction import Observation

__all__ = ["Observation", "Watch"]


class Watch:
    """A bundle's inferer that also asks the network about changed pictures; it takes the inferer's place.

    The changed pictures go through single members, unflipped, by turns: for a network that averages a film and its
    mirror image two views cost as much again as the prediction, for an ensemble of five a tenth of it for each.

    Args:
        inferer: The bundle's.
        network: What it is called with.
        device: On which it computes.
        views: How pictures are changed.
        layers: Of the network's first member, to take features from.
    """

    def __init__(
        self,
        inferer: Callable[[torch.Tensor, nn.Module], torch.Tensor],
        network: nn.Module,
        device: torch.device,
        views: Sequence[View],
        layers: Sequence[str],
    ) -> None:
        self.inferer = inferer
        self.views = tuple(views)
        self.device = device
        self.tap = FeatureTap(network, layers)
        self.members = members_of(network)
        self.seen: deque[Observation] = deque()

    def __call__(self, image: torch.Tensor, network: nn.Module) -> torch.Tensor:
        """Predict pictures, (B, C, W, H), as the inferer does, and note an observation of each."""
        with self.tap.reading() as noted:
            out = self.inferer(image, network)
        vectors = self.tap.vectors(noted, len(image))
        probabilities = torch.softmax(_plain(out).float(), dim=1)
        # `max` is ten times as fast as `argmax` over the channels, which lie far apart in memory.
        masks = probabilities.max(dim=1).indices
        looks = [self._look(_plain(image), masks, number, view) for number, view in enumerate(self.views)]
        for number in range(len(image)):
            signals = class_signals(
                probabilities[number], [(moved[number], found[number]) for moved, found in looks], masks[number]
            )
            self.seen.append(Observation(signals, [part[number : number + 1] for part in vectors], masks[number]))
        return out

    def take(self) -> Observation:
        """The observation of the next picture, in the order of prediction."""
        return self.seen.popleft()

    def forget(self) -> None:
        """Drop what was not taken, after an error."""
        self.seen.clear()

    def _look(
        self, image: torch.Tensor, masks: torch.Tensor, number: int, view: View
    ) -> tuple[torch.Tensor, torch.Tensor]:
        dtype = best_dtype(self.device)
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32):
            out = self.inferer(view.apply(image), self.members[number % len(self.members)])
        return view.move(masks), _plain(out).max(dim=1).indices


def _plain(value: Any) -> torch.Tensor:
    """Without MONAI's metadata, which every operation would carry along."""
    tensor: torch.Tensor = value.as_tensor() if hasattr(value, "as_tensor") else value
    return tensor
