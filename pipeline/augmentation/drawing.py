"""What MONAI's random transforms and ours draw for a case, without applying it.

Each function here lets the transform draw with its own `randomize()` and its own random state, and reads what was
drawn; None is "stays as it is". Probabilities and ranges are therefore the transform's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from monai.transforms.utils import create_control_grid
from monai.utils import ensure_tuple_rep

from pipeline.augmentation import warps

__all__ = [
    "Draw",
    "Shape",
    "draw_affine",
    "draw_collimation",
    "draw_elastic",
    "draw_factors",
    "draw_flip",
    "draw_gamma",
    "draw_histogram",
    "draw_noise",
    "draw_sharpening",
    "draw_smoothing",
    "draw_turn",
    "draw_zoom",
]

Shape = tuple[int, int, int]  # of a case: (C, W, H)
Draw = Callable[[Any, Shape], Any]


HALF_TURN = 2  # quarters


def _happens(transform: Any) -> bool:
    transform.randomize(None)
    return bool(transform._do_transform)


def draw_flip(transform: Any, shape: Shape) -> warps.Warp | None:
    """Of `RandFlipd`."""
    return warps.flip(transform.flipper.spatial_axis) if _happens(transform) else None


def draw_turn(transform: Any, shape: Shape) -> warps.Warp | None:
    """Of `RandRotate90d`; pictures that are not square are turned by half, for by a quarter they would not fit."""
    if not _happens(transform):
        return None
    return warps.turn(transform._rand_k if shape[1] == shape[2] else HALF_TURN, transform.spatial_axes)


def draw_zoom(transform: Any, shape: Shape) -> warps.Warp | None:
    """Of `RandZoomd`."""
    if not _happens(transform):
        return None
    transform.rand_zoom.randomize(np.broadcast_to(np.float32(0), shape))
    return warps.zoom(transform.rand_zoom._zoom, shape[1:])


def draw_affine(transform: Any, shape: Shape) -> warps.Warp | None:
    """Of `RandAffined`."""
    return _affine_of(transform.rand_affine.rand_affine_grid) if _happens(transform) else None


def draw_elastic(transform: Any, shape: Shape) -> warps.Warp | None:
    """Of `Rand2DElasticd`, which itself draws a number for each pixel besides and throws it away."""
    if not _happens(transform):
        return None
    drawn = transform.rand_2d_elastic
    spacing = ensure_tuple_rep(drawn.deform_grid.spacing, 2)
    drawn.deform_grid.randomize(create_control_grid(shape[1:], spacing, homogeneous=False).shape[1:])
    offsets = drawn.deform_grid.rand_mag * drawn.deform_grid.random_offset
    return warps.elastic(offsets, spacing, _affine_of(drawn.rand_affine_grid))


def _affine_of(grid: Any) -> warps.Warp:
    grid.randomize()
    return warps.affine(grid.rotate_params, grid.shear_params, grid.translate_params, grid.scale_params)


def draw_gamma(transform: Any, shape: Shape) -> float | None:
    """Of `RandAdjustContrastd`: the exponent."""
    if not _happens(transform):
        return None
    transform.adjuster.randomize(None)
    return float(transform.adjuster.gamma_value)


def draw_factors(name: str) -> Draw:
    """Of `RandScaleIntensityd` and `RandShiftIntensityd`: one number for the picture, or one for each channel.

    Args:
        name: Of the number within the transform's scaler or shifter.
    """

    def draw(transform: Any, shape: Shape) -> npt.NDArray[np.float32] | None:
        if not _happens(transform):
            return None
        inner = getattr(transform, "scaler", None) or transform.shifter
        inner.randomize(np.broadcast_to(np.float32(0), shape))
        return np.broadcast_to(np.asarray(getattr(inner, name), np.float32), (shape[0],))

    return draw


def draw_histogram(transform: Any, shape: Shape) -> npt.NDArray[np.float64] | None:
    """Of `RandHistogramShiftd`: what even steps of the grey values become."""
    if not _happens(transform):
        return None
    transform.shifter.randomize(None)
    return np.asarray(transform.shifter.floating_control_points)


def draw_noise(transform: Any, shape: Shape) -> tuple[float, float, int] | None:
    """Of `RandGaussianNoised`: mean, deviation, and a seed for the pixels, which are drawn where they are needed."""
    if not _happens(transform):
        return None
    noise = transform.rand_gaussian_noise
    std = float(noise.R.uniform(0, noise.std)) if noise.sample_std else float(noise.std)
    return float(noise.mean), std, int(noise.R.randint(2**31 - 1))


def draw_smoothing(transform: Any, shape: Shape) -> tuple[float, float] | None:
    """Of `RandGaussianSmoothd`: the deviations along x and y."""
    if not _happens(transform):
        return None
    transform.rand_smooth.randomize(None)
    return transform.rand_smooth.x, transform.rand_smooth.y


def draw_sharpening(transform: Any, shape: Shape) -> tuple[tuple[float, float], tuple[float, float], float] | None:
    """Of `RandGaussianSharpend`: the deviations of both blurs, and how much is added."""
    if not _happens(transform):
        return None
    drawn = transform.rand_sharpen
    drawn.randomize(None)
    return (drawn.x1, drawn.y1), (drawn.x2, drawn.y2), drawn.a


def draw_collimation(transform: Any, shape: Shape) -> tuple[list[int], float] | None:
    """Of `RandCollimationd`: the margins in pixels, and what they hold."""
    transform.randomize()
    if not transform.shares:
        return None
    sides = (shape[1], shape[1], shape[2], shape[2])
    return [int(share * side) for share, side in zip(transform.shares, sides, strict=True)], transform.value
