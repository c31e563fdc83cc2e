"""Smooth random fields on a picture's grid: what clouds, exposure and opacity are made of."""

from __future__ import annotations

import torch
from torch.nn.functional import interpolate

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
    for axis in (0, 1, 0, 1):
        field = _box_mean(field, radius, axis)
    return field


def _box_mean(field: torch.Tensor, radius: int, axis: int) -> torch.Tensor:
    size = field.shape[axis]
    place = torch.arange(size, device=field.device)
    count = (place + radius + 1).clamp(max=size) - (place - radius).clamp(min=0)
    sums = field.cumsum(axis)
    # Nothing before the border, all behind it: the sum of each box is a difference of two slices.
    before = torch.zeros_like(field.narrow(axis, 0, 1)).expand(_with(field.shape, axis, radius + 1))
    behind = sums.narrow(axis, size - 1, 1).expand(_with(field.shape, axis, radius))
    sums = torch.cat([before, sums, behind], dim=axis)
    boxes = sums.narrow(axis, 2 * radius + 1, size) - sums.narrow(axis, 0, size)
    return boxes / (count.reshape(-1, 1) if axis == 0 else count)


def _with(shape: torch.Size, axis: int, size: int) -> list[int]:
    return [size if number == axis else length for number, length in enumerate(shape)]


def position_grid(shape: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The position of each pixel, x as (W, 1) and y as (1, H), both from 0 to 1."""
    return torch.linspace(0, 1, shape[0])[:, None], torch.linspace(0, 1, shape[1])[None, :]
