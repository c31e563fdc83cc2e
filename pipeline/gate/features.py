"""What the network sees in a picture: its innermost layers, pooled to one vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

__all__ = ["FeatureTap", "flips_of", "innermost_layers", "members_of"]

# Halves in each direction: upside down is not the same picture.
POOLED = 2


def members_of(network: nn.Module) -> list[nn.Module]:
    """The networks that answer alone within one that averages; a single network is its own only member."""
    inner = getattr(network, "networks", None)
    if not isinstance(inner, nn.ModuleList):
        return [network]
    return [member for part in inner for member in members_of(part)]


def flips_of(network: nn.Module) -> tuple[tuple[int, ...], ...]:
    """The flips over which a network averages, in the order in which it asks its members."""
    return tuple(tuple(flip) for flip in getattr(network, "flips", ((),)))


def innermost_layers(network: nn.Module, image: torch.Tensor) -> list[str]:
    """Names of the modules that answer at the lowest resolution, in the order in which they are asked.

    Args:
        network: Any 2D network.
        image: A picture, (1, C, W, H), that it can take.
    Returns: Modules without children whose output is (1, channels, w, h) with the smallest w·h of at least 2×2; a
        module that is asked more than once is left out.
    """
    seen: list[tuple[str, tuple[int, ...]]] = []

    def note(name: str) -> Any:
        return lambda _module, _inputs, out: seen.append((name, tuple(out.shape) if torch.is_tensor(out) else ()))

    leaves = [(name, module) for name, module in network.named_modules() if not any(module.children())]
    handles = [module.register_forward_hook(note(name)) for name, module in leaves]
    try:
        with torch.inference_mode():
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    asked = [name for name, _ in seen]
    maps = {
        name: shape[2] * shape[3]
        for name, shape in seen
        if len(shape) == 4 and min(shape[2:]) >= POOLED and asked.count(name) == 1 and name
    }
    return [name for name, area in maps.items() if area == min(maps.values())]


class FeatureTap:
    """Reads layers of a network while it answers, at no cost in passes.

    Args:
        network: The network, which may average members and flips: the first member's unflipped pass is read.
        layers: Names of the first member's modules, as `innermost_layers` gives them.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        self.network, self.member = network, members_of(network)[0]
        self.layers = tuple(layers)
        flips = flips_of(network)
        self.passes = len(flips)
        self.plain = flips.index(()) if () in flips else 0

    @contextmanager
    def reading(self) -> Iterator[dict[str, list[NDArray[np.float32]]]]:
        """Within it, the pooled outputs of each layer are noted, a list of arrays (windows, values)."""
        noted: dict[str, list[NDArray[np.float32]]] = {name: [] for name in self.layers}
        count = -1

        def begin(*_: Any) -> None:
            nonlocal count
            count += 1

        def note(name: str) -> Any:
            def keep(_module: nn.Module, _inputs: Any, out: torch.Tensor) -> None:
                joined = bool(getattr(self.network, "joined", False))
                if joined or count % self.passes == self.plain:
                    # Of all flips in one batch, those of the pictures as they are.
                    rows = torch.as_tensor(out).chunk(self.passes)[self.plain] if joined else torch.as_tensor(out)
                    pooled = functional.adaptive_avg_pool2d(rows.float(), POOLED)
                    noted[name].append(pooled.flatten(1).cpu().numpy())

            return keep

        handles = [self.member.register_forward_pre_hook(begin)]
        handles += [self.member.get_submodule(name).register_forward_hook(note(name)) for name in self.layers]
        try:
            yield noted
        finally:
            for handle in handles:
                handle.remove()

    def vectors(self, noted: dict[str, list[NDArray[np.float32]]], pictures: int) -> list[NDArray[np.float32]]:
        """For each layer what was noted of a batch, (pictures, values); a sliding window's windows are averaged."""
        # MONAI's windows come picture by picture.
        return [
            (rows := np.concatenate(noted[name])).reshape(pictures, len(rows) // pictures, -1).mean(axis=1)
            for name in self.layers
        ]
