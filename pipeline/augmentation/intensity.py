"""Changes of grey values of several pictures at once, each equal to what a MONAI transform does to one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from pipeline.augmentation.subsets import on_device

__all__ = ["gamma_changed", "histograms_shifted", "noise_like", "scaled", "shifted", "standardised"]

EPSILON = 1e-7  # of MONAI's AdjustContrast
PICTURE = (1, 2, 3)


def gamma_changed(images: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
    """A power of the grey values between a picture's least and greatest: MONAI's `AdjustContrast`.

    Args:
        images: Shape (n, C, W, H).
        gamma: Exponents, shape (n, 1, 1, 1).
    """
    least, greatest = torch.aminmax(images.flatten(1), dim=1)
    least = least.reshape(-1, 1, 1, 1)
    extent = greatest.reshape(-1, 1, 1, 1) - least
    # A power by exp and log: with an exponent for each picture `**` takes more than twice as long on a CPU.
    return ((images - least) / (extent + EPSILON)).log_().mul_(gamma).exp_().mul_(extent).add_(least)


def scaled(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Times 1 + factor: MONAI's `ScaleIntensity`. Factors have shape (n, 1 or C, 1, 1)."""
    return images * (1 + factors)


def shifted(images: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Plus an offset: MONAI's `ShiftIntensity`. Offsets have shape (n, 1 or C, 1, 1)."""
    return images + offsets


def histograms_shifted(images: torch.Tensor, points: Sequence[npt.NDArray[np.floating]]) -> torch.Tensor:
    """Grey values through a curve of straight pieces: MONAI's `RandHistogramShift`.

    Args:
        images: Shape (n, C, W, H).
        points: For each picture what its even steps from the least to the greatest value become, from 0 to 1.
    """
    widest = max(len(one) for one in points)
    table = on_device(
        np.stack([np.pad(one, (0, widest - len(one)), mode="edge") for one in points]), images.device, images.dtype
    )
    steps = on_device([len(one) - 1 for one in points], images.device, images.dtype)[:, None]
    flat = images.flatten(1)
    least, greatest = (one[:, None] for one in torch.aminmax(flat, dim=1))
    extent = greatest - least
    place = (flat - least) / extent.clamp_min(torch.finfo(images.dtype).tiny) * steps
    left = torch.minimum(place.floor(), steps - 1).clamp_min(0)
    index = left.long()
    low, high = table.gather(1, index), table.gather(1, index + 1)
    return ((low + (place - left) * (high - low)) * extent + least).reshape(images.shape)


def noise_like(images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor, seed: int) -> torch.Tensor:
    """Gaussian noise for pictures, drawn on their device: MONAI's `RandGaussianNoise` draws each pixel on the host.

    Args:
        images: Shape (n, C, W, H).
        mean, std: Shape (n, 1, 1, 1).
        seed: The same seed gives the same noise on the same kind of device.
    """
    generator = torch.Generator(images.device).manual_seed(seed)
    standard = torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    return standard * std + mean


def standardised(images: torch.Tensor, *, by_channel: bool = False) -> torch.Tensor:
    """Zero mean and unit deviation of each picture, or each of its channels: MONAI's `NormalizeIntensity`.

    Args:
        images: Shape (B, C, W, H).
        by_channel: Each channel by its own mean and deviation.
    """
    over = PICTURE[1:] if by_channel else PICTURE
    centred = images - images.mean(dim=over, keepdim=True)
    deviation = centred.square().mean(dim=over, keepdim=True).sqrt()
    return centred / torch.where(deviation == 0, 1.0, deviation)
