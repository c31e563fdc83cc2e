"""Smooth fields and box means for several pictures at once, as `pipeline.transforms.fields` makes them for one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch.nn.functional import interpolate, pad

from pipeline.augmentation.subsets import on_device
from pipeline.transforms.fields import box_blur

__all__ = ["box_blurred", "smooth_fields"]


def smooth_fields(controls: Sequence[torch.Tensor], shape: tuple[int, int], device: torch.device) -> torch.Tensor:
    """Coarse grids of numbers as smooth fields: bicubic interpolation is a matrix along each axis.

    Args:
        controls: Square grids of control values, each (n, n) with an n of its own.
        shape: Wanted size (W, H).
        device: Where the fields are made.
    Returns: Shape (number of controls, W, H).
    """
    widest = max(len(one) for one in controls)
    coarse = torch.stack([pad(one.float(), (0, widest - len(one)) * 2) for one in controls])
    along = [_weights_of([len(one) for one in controls], widest, size, device) for size in shape]
    return along[0] @ on_device(coarse, device, torch.float32) @ along[1].transpose(1, 2)


def _weights_of(points: Sequence[int], widest: int, size: int, device: torch.device) -> torch.Tensor:
    return torch.stack([_weights(n, widest, size, device) for n in points])


@lru_cache(maxsize=256)
def _weights(points: int, widest: int, size: int, device: torch.device) -> torch.Tensor:
    """What each control point adds to each pixel along one axis, shape (size, widest)."""
    eye = torch.eye(points)[None, None]
    weights = interpolate(eye, size=(size, points), mode="bicubic", align_corners=True)[0, 0]
    return pad(weights, (0, widest - points)).to(device)


def box_blurred(fields: torch.Tensor, radii: Sequence[int]) -> torch.Tensor:
    """Two passes of a box filter along each axis, each field with its own radius; see `box_blur`.

    Args:
        fields: Shape (n, C, W, H).
        radii: Half-widths, pixels; 0 leaves a field as it is.
    """
    if fields.device.type == "cpu":  # slices of one field are faster there than gathering from all
        blurred = [box_blur(one, radius) for channels, radius in zip(fields, radii, strict=True) for one in channels]
        return torch.stack(blurred).reshape(fields.shape)
    widths = on_device(radii, fields.device, torch.int64)
    for axis in (2, 3, 2, 3):
        fields = _box_mean(fields, widths, axis)
    return fields


def _box_mean(fields: torch.Tensor, radii: torch.Tensor, axis: int) -> torch.Tensor:
    size = fields.shape[axis]
    place = torch.arange(size, device=fields.device)[None, :]
    first = (place - radii[:, None]).clamp(min=0)
    end = (place + radii[:, None] + 1).clamp(max=size)
    start = torch.zeros_like(fields.narrow(axis, 0, 1))
    sums = torch.cat([start, fields.cumsum(axis)], dim=axis)
    along = [len(fields), 1, 1, 1]
    along[axis] = size

    def at(index: torch.Tensor) -> torch.Tensor:
        return sums.gather(axis, index.reshape(along).expand_as(fields))

    return (at(end) - at(first)) / (end - first).reshape(along)
