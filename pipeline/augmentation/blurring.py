"""Gaussian blur and sharpening of several pictures at once, each with its own widths."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.layers.convutils import gaussian_1d
from torch.nn.functional import conv2d, pad

from pipeline.augmentation.subsets import on_device

__all__ = ["blurred", "sharpened"]


def blurred(images: torch.Tensor, sigmas: Sequence[Sequence[float]], approx: str = "erf") -> torch.Tensor:
    """MONAI's `GaussianSmooth`.

    Args:
        images: Shape (n, C, W, H).
        sigmas: For each picture the deviations along x and y, pixels.
        approx: Kind of kernel, as in MONAI.
    """
    count, channels, width, height = images.shape
    # One convolution for all: each channel of each picture is a group with a kernel of its own.
    out = images.reshape(1, count * channels, width, height)
    for axis in (0, 1):
        kernels = _kernels([float(one[axis]) for one in sigmas], approx)
        radius = kernels.shape[1] // 2
        weights = on_device(kernels, images.device, images.dtype).repeat_interleave(channels, dim=0)
        shape = (-1, 1, kernels.shape[1], 1) if axis == 0 else (-1, 1, 1, kernels.shape[1])
        around = (radius, 0) if axis == 0 else (0, radius)
        out = conv2d(out, weights.reshape(shape), padding=around, groups=count * channels)
    return out.reshape(images.shape)


def sharpened(
    images: torch.Tensor,
    first: Sequence[Sequence[float]],
    second: Sequence[Sequence[float]],
    amount: torch.Tensor,
    approx: str = "erf",
) -> torch.Tensor:
    """MONAI's `GaussianSharpen`: blurred, and what a second blur takes away added several times.

    Args:
        images: Shape (n, C, W, H).
        first, second: Deviations of both blurs along x and y, pixels.
        amount: How many times, shape (n, 1, 1, 1).
        approx: Kind of kernel, as in MONAI.
    """
    once = blurred(images, first, approx)
    return once + amount * (once - blurred(once, second, approx))


def _kernels(sigmas: Sequence[float], approx: str) -> torch.Tensor:
    """MONAI's kernels, the shorter ones with zeros at both ends, shape (n, widest)."""
    kernels = [gaussian_1d(torch.tensor(sigma), approx=approx) for sigma in sigmas]
    widest = max(len(one) for one in kernels)
    return torch.stack([pad(one, [(widest - len(one)) // 2] * 2) for one in kernels])
