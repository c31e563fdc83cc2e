"""What is done to a network around its weights: precision, several checkpoints as one, test-time flips."""

from __future__ import annotations

from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch
from torch import nn

__all__ = ["AveragedNetwork", "best_dtype", "with_autocast"]


def best_dtype(device: torch.device | str) -> torch.dtype:
    """bfloat16 where the device computes in it, else float32.

    A CPU without AVX512-BF16 or AMX emulates bfloat16 and is slower with it than without.
    """
    if torch.device(device).type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    # Private, and under another name before torch 2.6: where it cannot be asked, float32 is right and a little slower.
    has_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.bfloat16 if torch.device(device).type == "cpu" and has_bf16() else torch.float32


def with_autocast(network: nn.Module, device: torch.device | str, enabled: bool = True) -> nn.Module:
    """Let a network compute in bfloat16 where the device can, with float32 weights and float32 output.

    MONAI's engines autocast on CUDA alone (``torch.autocast("cuda")`` is written into them); this wraps the forward
    pass itself, so that training, sliding windows and evaluation get it on CPU as well. The weights, their names and
    the checkpoint are unchanged. bfloat16 has float32's range, so no gradient scaling is needed.

    Returns: The same network.
    """
    dtype = best_dtype(device)
    if not enabled or dtype == torch.float32:
        return network
    kind = torch.device(device).type

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        with torch.autocast(kind, dtype=dtype):
            out = type(self).forward(self, *args, **kwargs)
        return _as_float32(out)

    # A method and not a closure over the network: a deep copy then computes with its own weights.
    network.forward = MethodType(forward, network)
    return network


def _as_float32(out: Any) -> Any:
    """The output in float32; each of them, where deep supervision gives several."""
    return type(out)(_as_float32(part) for part in out) if isinstance(out, (list, tuple)) else out.float()


class AveragedNetwork(nn.Module):
    """Several networks and several flips of the input as one network.

    The mean of the class probabilities is returned as its logarithm, so that a bundle's own soft-max gives that mean
    back and its post-processing stays as it is.

    Args:
        networks: Networks with one channel a class, mutually exclusive classes.
        flips: Spatial axes to flip before and after, one tuple a pass; ``((),)`` is no test-time augmentation. For
            pictures indexed [x, y] axis 0 is left/right and axis 1 top/bottom.
    """

    def __init__(self, networks: Sequence[nn.Module], flips: Sequence[Sequence[int]] = ((),)) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.flips = tuple(tuple(flip) for flip in flips)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logarithm of the mean probabilities, shape (B, classes, W, H), for an image (B, C, W, H)."""
        total: torch.Tensor | None = None
        for network in self.networks:
            for flip in self.flips:
                axes = [axis + 2 for axis in flip]
                out = network(image.flip(axes) if axes else image)
                out = torch.softmax((out.flip(axes) if axes else out).float(), dim=1)
                total = out if total is None else total + out
        if total is None:
            raise ValueError("AveragedNetwork needs at least one network and one pass.")
        return (total / (len(self.networks) * len(self.flips))).clamp_min(1e-8).log()
