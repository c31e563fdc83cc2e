"""Instance norm that a CPU computes quickly, in the layout that its convolutions are quickest in."""

from __future__ import annotations

from types import MethodType

import torch
from torch import nn
from torch.nn import functional

__all__ = ["laid_out_for_cpu"]


def laid_out_for_cpu(network: nn.Module) -> nn.Module:
    """Let a 2D network compute with channels behind pixels, and its instance norms sample by sample.

    PyTorch's own instance norm is batch norm of a picture whose channels are those of the whole batch. With channels
    behind pixels that view is a copy there and one back, so that the layout, though the convolutions' best, costs more
    than it saves. Each sample by itself needs no copy; its mean and variance are the same. Measured on two cores with
    AVX-512 and AMX, 16-32-64-128-160-192, pictures a second: training 31.6 and 43.3 (256², bfloat16), 4.2 and 8.5
    (512²), 14.4 and 20.5, 1.5 and 2.4 (float32); inference 105 and 144, 19.4 and 33.7, 57 and 73, 8.9 and 15.8.

    Weights, their names and the checkpoint are unchanged.

    Returns: The same network.
    """
    network.to(memory_format=torch.channels_last)
    for module in network.modules():
        # Running statistics are another computation, and no network here keeps them.
        if isinstance(module, nn.InstanceNorm2d) and not module.track_running_stats:
            # A method and not a closure over the module: a deep copy then computes with its own weights.
            module.forward = MethodType(_by_sample, module)
    return network


def _by_sample(self: nn.InstanceNorm2d, x: torch.Tensor) -> torch.Tensor:
    """Instance norm, shape (B, C, W, H) in and out."""
    if x.dim() != 4:
        return type(self).forward(self, x)
    # In float32: without weights the statistics would be rounded as the input is.
    weight = self.weight if self.weight is not None else torch.ones(x.shape[1], device=x.device)
    bias = self.bias if self.bias is not None else torch.zeros(x.shape[1], device=x.device)
    normed = [functional.batch_norm(one, None, None, weight, bias, True, 0.0, self.eps) for one in x.split(1)]
    return normed[0] if len(normed) == 1 else torch.cat(normed)
