"""The layout that a CPU's convolutions are quickest in, and what a network needs to keep to it."""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from monai.networks.layers.simplelayers import SkipConnection
from torch import nn
from torch.nn import functional

__all__ = ["laid_out_for_cpu"]

# Bytes that are copied as one element, and the type that PyTorch has for as many.
ELEMENT, ELEMENT_TYPE = 16, torch.complex128


def laid_out_for_cpu(network: nn.Module) -> nn.Module:
    """Let a 2D network compute with channels behind pixels.

    Weights, their names and the checkpoint are unchanged. Two of its layers would not gain by it:

    PyTorch's own instance norm is batch norm of a picture whose channels are those of the whole batch. With channels
    behind pixels that view is a copy there and one back, so that the layout, though the convolutions' best, costs more
    than it saves. Each sample by itself needs no copy; its mean and variance are the same. Measured on two cores with
    AVX-512 and AMX, 16-32-64-128-160-192, pictures a second: training 31.6 and 43.3 (256², bfloat16), 4.2 and 8.5
    (512²), 14.4 and 20.5, 1.5 and 2.4 (float32); inference 105 and 144, 19.4 and 33.7, 57 and 73, 8.9 and 15.8.

    A skip connection hands its two inputs parts of one gradient, in which the channels of a pixel are followed by those
    of the other part: whatever is computed with them is several times as slow. They are copied apart first. Measured on
    the same machine: a training step 1.03 (256²) and 1.04 times as quick (512²).

    A convolution of single pixels that leaves some out takes the others first: with channels behind pixels and fewer of
    them than the processor takes at once, oneDNN's gradient of its weights writes past the end of its memory
    (https://github.com/uxlfoundation/oneDNN/issues/6035), which ends the process or spoils what lies there.

    Returns: The same network.
    """
    network.to(memory_format=torch.channels_last)
    for module in network.modules():
        # Methods and not closures over the module: a deep copy then computes with its own weights.
        # Running statistics are another computation, and no network here keeps them.
        if isinstance(module, nn.InstanceNorm2d) and not module.track_running_stats:
            module.forward = MethodType(_by_sample, module)
        elif isinstance(module, SkipConnection) and module.mode == "cat" and module.dim == 1:
            module.forward = MethodType(_joined, module)
        elif isinstance(module, nn.Conv2d) and set(module.kernel_size) == {1} and max(module.stride) > 1:
            module.forward = MethodType(_taken_apart, module)
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


def _taken_apart(self: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """A convolution of single pixels: those that it takes, and then each of them."""
    if x.dim() != 4 or self.padding not in ((0, 0), "valid"):
        return type(self).forward(self, x)
    taken = x[:, :, :: self.stride[0], :: self.stride[1]].contiguous(memory_format=torch.channels_last)
    return functional.conv2d(taken, self.weight, self.bias, groups=self.groups)


def _joined(self: SkipConnection, x: torch.Tensor) -> torch.Tensor:
    """A skip connection: its input in front of what its submodule makes of it, along the channels."""
    joined: torch.Tensor = _Joined.apply(x, self.submodule(x))
    return joined


class _Joined(torch.autograd.Function):
    """`torch.cat` along the channels, whose gradients lie by themselves."""

    @staticmethod
    def forward(ctx: Any, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        ctx.channels = first.shape[1]
        return torch.cat([first, second], dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        parts = gradient.split([ctx.channels, gradient.shape[1] - ctx.channels], dim=1)
        return _apart(parts[0]), _apart(parts[1])


def _apart(part: torch.Tensor) -> torch.Tensor:
    """A part of a tensor's channels, copied where it lies by itself."""
    if part.dim() != 4:
        return part.contiguous()
    pixels = part.permute(0, 2, 3, 1)
    whole = ELEMENT // part.element_size()
    # Copying goes element by element, whatever their type; without a remainder, sixteen bytes are one.
    if pixels.stride(3) == 1 and all(
        place % whole == 0 for place in (pixels.shape[3], pixels.storage_offset(), *pixels.stride()[:3])
    ):
        return pixels.view(ELEMENT_TYPE).contiguous().view(part.dtype).permute(0, 3, 1, 2)
    return part.contiguous(memory_format=torch.channels_last)
