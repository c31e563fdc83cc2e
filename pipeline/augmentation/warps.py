"""Changes of shape: flips, turns, zoom, affine and elastic, all of them in one resampling of the batch.

MONAI resamples a picture once for each of its transforms. Here the grids are put together first, so that a picture is
interpolated once, and stays the sharper for it; what one transform moves out of the picture another may bring back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.transforms.utils import create_control_grid, create_rotate, create_scale, create_shear, create_translate
from torch.nn.functional import grid_sample, interpolate

from pipeline.augmentation.subsets import on_device

__all__ = ["Elastic", "Warp", "affine", "composed", "elastic", "flip", "resampled", "sampling_grid", "turn", "zoom"]

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Elastic:
    """An elastic deformation as MONAI's `RandDeformGrid` draws it.

    Attributes:
        offsets: Displacement of the control points, pixels, shape (2, n, m).
        spacing: Pixels between control points, along both axes.
    """

    offsets: npt.NDArray[np.float32]
    spacing: tuple[float, float]


@dataclass(frozen=True)
class Warp:
    """Where each pixel of the changed picture comes from.

    Attributes:
        matrix: From the changed picture's pixels to the original's, shape (3, 3), homogeneous, pixels counted from the
            picture's centre.
        elastic: What is done before the matrix, or None.
    """

    matrix: Matrix
    elastic: Elastic | None = None


def flip(axes: int | Sequence[int] | None) -> Warp:
    """Mirrored along spatial axes; None is both."""
    along = (0, 1) if axes is None else (axes,) if isinstance(axes, int) else tuple(axes)
    return Warp(np.diag([-1.0 if axis % 2 in [one % 2 for one in along] else 1.0 for axis in (0, 1)] + [1.0]))


def turn(quarters: int, axes: tuple[int, int] = (0, 1)) -> Warp:
    """Turned by quarters, as `torch.rot90`; by half where pictures are not square."""
    once = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    if tuple(axis % 2 for axis in axes) == (1, 0):
        once = once.T
    return Warp(np.linalg.matrix_power(once, quarters % 4))


def zoom(factors: Sequence[float], shape: tuple[int, int]) -> Warp:
    """Zoomed about the centre and cut or padded to the same size, pixel for pixel as MONAI's `Zoom`.

    Args:
        factors: One an axis.
        shape: (W, H), pixels.
    """
    matrix = np.eye(3)
    for axis, (factor, size) in enumerate(zip(factors, shape, strict=True)):
        zoomed = math.floor(size * factor)
        ratio, middle = size / zoomed, (size - 1) / 2
        cut, padded = max(zoomed // 2 - size // 2, 0), max(size - zoomed, 0) // 2
        matrix[axis, axis] = ratio
        matrix[axis, 2] = (middle - padded + cut + 0.5) * ratio - 0.5 - middle
    return Warp(matrix)


def affine(
    rotate: Sequence[float] | None,
    shear: Sequence[float] | None,
    translate: Sequence[float] | None,
    scale: Sequence[float] | None,
) -> Warp:
    """Turned (radians), sheared, shifted (pixels) and scaled: the matrices of MONAI's `AffineGrid`, in its order."""
    matrix = np.eye(3)
    for make, drawn in ((create_rotate, rotate), (create_shear, shear), (create_translate, translate)):
        if drawn:
            matrix = matrix @ make(2, drawn)
    return Warp(matrix @ create_scale(2, scale) if scale else matrix)


def elastic(offsets: npt.NDArray[np.floating[Any]], spacing: Sequence[float], then: Warp | None = None) -> Warp:
    """Deformed, then warped: `Rand2DElastic` has an affine part of its own.

    Args:
        offsets: Displacement of the control points, pixels, shape (2, n, m).
        spacing: Pixels between control points.
        then: What its control points go through afterwards.
    """
    matrix = np.eye(3) if then is None else then.matrix
    return Warp(matrix, Elastic(np.asarray(offsets, np.float32), (float(spacing[0]), float(spacing[1]))))


def composed(first: Warp, second: Warp) -> Warp:
    """Both, one after the other.

    Raises: ValueError: if the first is elastic: its field would have to be resampled itself.
    """
    if first.elastic is not None:
        raise ValueError("Nothing can be put behind an elastic deformation; it begins another resampling.")
    return Warp(first.matrix @ second.matrix, second.elastic)


def sampling_grid(warps: Sequence[Warp | None], shape: tuple[int, int], device: torch.device) -> torch.Tensor:
    """The grid of a batch for `grid_sample`.

    Args:
        warps: One a case; None leaves it as it is.
        shape: (W, H), pixels.
        device: Where it is computed.
    Returns: Shape (B, W, H, 2).
    """
    half = np.array([shape[0] / 2, shape[1] / 2, 1.0])
    # In grid_sample's units, in which the picture goes from −1 to 1, and its order, the last axis first.
    thetas = [
        (one.matrix / half[:, None] * half[None, :])[np.ix_([1, 0], [1, 0, 2])] if one is not None else np.eye(3)[:2]
        for one in warps
    ]
    theta = on_device(np.stack(thetas), device, torch.float32)
    # As torch's affine_grid, which multiplies each pixel's place by a matrix: here by axis, which is less to compute.
    rows, columns = (torch.linspace(-1, 1, size, device=device)[:, None] * (size - 1) / size for size in shape)
    by_row, by_column = theta[:, None, :, 1] * rows + theta[:, None, :, 2], theta[:, None, :, 0] * columns
    grid = by_column[:, None] + by_row[:, :, None]
    bent = [(number, one.elastic) for number, one in enumerate(warps) if one is not None and one.elastic is not None]
    for spacing in dict.fromkeys(field.spacing for _, field in bent):
        which = [number for number, field in bent if field.spacing == spacing]
        offsets = [field.offsets for _, field in bent if field.spacing == spacing]
        index = on_device(which, device, torch.int64)
        field = _displacement(on_device(np.stack(offsets), device, torch.float32), spacing, shape)
        field = field * on_device([2 / shape[1], 2 / shape[0]], device, torch.float32)
        linear = theta.index_select(0, index)[:, :, :2]
        grid = grid.index_add(0, index, torch.einsum("nij,nwhj->nwhi", linear, field))
    return grid


def _displacement(offsets: torch.Tensor, spacing: tuple[float, float], shape: tuple[int, int]) -> torch.Tensor:
    """The offsets of control points as a field, pixels, shape (n, W, H, 2), the last axis's displacement first."""
    across, along = (
        _bicubic(offsets.shape[axis], spacing[axis - 2], size, offsets.device) for axis, size in enumerate(shape, 2)
    )
    field = across @ offsets @ along.T + _at_rest(spacing, shape, offsets.device)
    return torch.stack([field[:, 1], field[:, 0]], dim=-1)


@lru_cache(maxsize=16)
def _at_rest(spacing: tuple[float, float], shape: tuple[int, int], device: torch.device) -> torch.Tensor:
    """How far interpolated control points lie from the pixels without any offset, as at the borders, (2, W, H)."""
    places = create_control_grid(shape, spacing, False, torch.float32, torch.device("cpu"), "torch")[:2]
    across, along = (
        _bicubic(places.shape[axis], spacing[axis - 1], size, places.device) for axis, size in enumerate(shape, 1)
    )
    x, y = (torch.arange(size, dtype=torch.float32) - (size - 1) / 2 for size in shape)
    return (across @ places @ along.T - torch.stack(torch.meshgrid(x, y, indexing="ij"))).to(device)


@lru_cache(maxsize=64)
def _bicubic(points: int, spacing: float, size: int, device: torch.device) -> torch.Tensor:
    """What each control point adds to each pixel along one axis, bicubic, shape (size, points)."""
    weights = interpolate(
        torch.eye(points)[None, None],
        scale_factor=[spacing, 1.0],
        mode="bicubic",
        align_corners=False,
        recompute_scale_factor=True,
    )[0, 0]
    return weights.narrow(0, max(len(weights) // 2 - size // 2, 0), size).to(device)  # MONAI's CenterSpatialCrop


def resampled(batch: torch.Tensor, grid: torch.Tensor, mode: str, padding: str) -> torch.Tensor:
    """A batch at the places of a grid.

    Args:
        batch: Shape (B, C, W, H).
        grid: From `sampling_grid`.
        mode: "bilinear", or "nearest" for masks.
        padding: "zeros", "border" or "reflection".
    """
    out = grid_sample(batch.to(grid.dtype), grid, mode=mode, padding_mode=padding, align_corners=False)
    return out.to(batch.dtype)
