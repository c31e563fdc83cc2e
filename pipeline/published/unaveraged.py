"""In place of the running mean of the weights, which published projects do not keep."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["Unaveraged"]


class Unaveraged:
    """Stands where a bundle has `ignite.handlers.EMAHandler`: what is validated and kept is the network itself.

    Args:
        model: The network.
    """

    def __init__(self, model: nn.Module) -> None:
        self.ema_model = model

    def attach(self, engine: Any) -> None:
        """Nothing is to be done in any iteration."""
