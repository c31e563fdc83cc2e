"""The U-Net of 34,527,106 parameters: interpolation and a 3×3 convolution on the way up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from monai.networks.blocks import Convolution
from torch import nn

__all__ = ["ClassicUNet"]


class ClassicUNet(nn.Module):
    """A U-Net whose way up is nearest-neighbour interpolation and a 3×3 convolution, with batch norm throughout.

    It is the variant of many PyTorch projects. MONAI's `BasicUNet` goes up by a transposed 2×2 convolution, or by
    interpolation behind a 1×1 convolution, and halves the channels of the last step only afterwards; its `UNet` is
    residual and has strides in place of pooling. So neither has this number of parameters.

    How 34,527,106 come about, for three channels in and two out, widths 64-128-256-512-1024; a 3×3 convolution from a
    to b channels has 9ab + b parameters, a batch norm 2b:

        five encoder blocks of two convolutions with norms   18,851,136
        four steps up, a convolution with norm each           6,269,760
        four decoder blocks of two convolutions with norms    9,406,080
        1×1 convolution from 64 channels to 2                       130

    Args:
        in_channels: Of the picture.
        out_channels: Scores that it gives.
        widths: Channels at each level, the highest resolution first.
    """

    def __init__(self, in_channels: int, out_channels: int, widths: Sequence[int] = (64, 128, 256, 512, 1024)) -> None:
        super().__init__()
        pairs = [*pairwise(widths)]
        self.down = nn.ModuleList([_block(in_channels, widths[0]), *(_block(a, b) for a, b in pairs)])
        self.pool = nn.MaxPool2d(2)
        self.rise = nn.ModuleList([nn.Sequential(nn.Upsample(scale_factor=2), _convolution(b, a)) for a, b in pairs])
        self.up = nn.ModuleList([_block(2 * a, a) for a, _ in pairs])
        self.head = nn.Conv2d(widths[0], out_channels, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Scores, shape (B, out_channels, W, H), for an image (B, in_channels, W, H).

        Both sides must be multiples of 2 to the number of levels less one.
        """
        seen = [self.down[0](image)]
        for block in self.down[1:]:
            seen.append(block(self.pool(seen[-1])))
        x = seen[-1]
        for level in range(len(self.up) - 1, -1, -1):
            x = self.up[level](torch.cat((seen[level], self.rise[level](x)), dim=1))
        scores: torch.Tensor = self.head(x)
        return scores


def _convolution(in_channels: int, out_channels: int) -> nn.Module:
    return Convolution(2, in_channels, out_channels, kernel_size=3, adn_ordering="NA", act="RELU", norm="BATCH")


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(_convolution(in_channels, out_channels), _convolution(out_channels, out_channels))
