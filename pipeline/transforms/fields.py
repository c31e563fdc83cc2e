"""Smooth random fields on a picture's grid: what clouds, exposure and opacity are made of."""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d, interpolate

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

    Args:
        field: Shape (W, H).
        radius: Half-width of the box in pixels; 0 returns the field unchanged.
    """
    if radius < 1:
        return field
    size = 2 * radius + 1
    out = field[None, None]
    for _ in range(2):
        out = avg_pool2d(out, kernel_size=(size, 1), stride=1, padding=(radius, 0), count_include_pad=False)
        out = avg_pool2d(out, kernel_size=(1, size), stride=1, padding=(0, radius), count_include_pad=False)
    return out[0, 0]


def position_grid(shape: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The position of each pixel, x as (W, 1) and y as (1, H), both from 0 to 1."""
    return torch.linspace(0, 1, shape[0])[:, None], torch.linspace(0, 1, shape[1])[None, :]
