"""In place of the running mean of the weights, which published projects do not keep."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel

__all__ = ["Unaveraged"]


class Unaveraged:
    """Stands where a bundle has `pipeline.handlers.WeightAverage`: what is validated and kept is the network itself.

    Args:
        model: The network. Of one that several processes train (DDP) what is within is validated: it exchanges nothing.
    """

    def __init__(self, model: nn.Module) -> None:
        self.ema_model = model.module if isinstance(model, DistributedDataParallel) else model

    def attach(self, engine: Any) -> None:
        """Nothing is to be done in any iteration."""
