"""Smooth random fields on a picture's grid: what clouds, exposure and opacity are made of."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch.nn.functional import interpolate, pad

__all__ = ["box_blur", "position_grid", "upsampled"]


def upsampled(coarse: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """A coarse grid of numbers as a smooth field.

    Args:
        coarse: Control values, shape (n, m), n and m at least 2.
        shape: Wanted size (W, H).
    Returns: The bicubically interpolated field, shape (W, H); it may overshoot the control values a little.
    """
    return interpolate(coarse[None, None].float(), size=shape, mode="bicubic", align_corners=True)[0, 0]


def box_blur(field: torch.Tensor, radius: int) -> torch.Tensor:
    """Two passes of a box filter: a triangular kernel, close enough to a Gaussian for a soft edge.

    Running sums make the cost independent of the radius. At the border the mean is over what lies inside.

    Args:
        field: Shape (W, H).
        radius: Half-width of the box in pixels; 0 returns the field unchanged.
    """
    if radius < 1:
        return field
    for _ in range(2):  # running sums along what lies together are several times as quick
        field = _box_mean(_box_mean(field, radius), radius).T.contiguous()
    return field


def _box_mean(field: torch.Tensor, radius: int) -> torch.Tensor:
    size = field.shape[1]
    # Nothing before the border, all behind it: the sum of each box is a difference of two slices.
    sums = pad(field, (radius + 1, radius)).cumsum(1)
    return (sums[:, 2 * radius + 1 :] - sums[:, :size]) / _inside(size, radius, field.device)


@lru_cache(maxsize=256)
def _inside(size: int, radius: int, device: torch.device) -> torch.Tensor:
    """How many pixels of the box round each place of a row lie in that row, shape (size,)."""
    place = torch.arange(size, device=device)
    return (place + radius + 1).clamp(max=size) - (place - radius).clamp(min=0)


def position_grid(shape: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The position of each pixel, x as (W, 1) and y as (1, H), both from 0 to 1."""
    return torch.linspace(0, 1, shape[0])[:, None], torch.linspace(0, 1, shape[1])[None, :]
