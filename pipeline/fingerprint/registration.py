"""Laying one small picture on another: the affine map between them, and how well they then agree.

Pictures of different people look alike from afar, as chest films do. A copy agrees in what is small, too: once it has
been laid on its original (crops, small turns and shifts undone), their details match in every part of the picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

__all__ = ["agreement"]

Pictures = NDArray[np.float32]
# Parameters of an affine map, shape (m, 2, 3), on coordinates from -1 to 1.
Maps = NDArray[np.float64]

# From coarse to fine: the factor of shrinking, the blur before it in pixels, and the number of steps.
STAGES = ((4, 2.0, 10), (2, 1.0, 6))
LONGEST_STEP = 0.1
LARGEST_SHIFT = 0.4
AREA_CHANGE = 2.0
# What is larger than about three times this, in pixels, is not detail.
DETAIL = 3.0
BLOCK = 16
# A block may lie this many pixels beside its place: what an affine map cannot undo.
REACH = 1
# The share of the detail that may differ: a crop's blank edge, a mark that was drawn into one of the two.
MAY_DIFFER = 0.15
# Part of the first picture's detail that must be found in the second for their agreement to mean anything.
LEAST_COVER = 0.3


def agreement(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """How well pairs of pictures agree in their details once one is laid on the other: 1 for copies, about 0 by chance.

    The measure is the mean correlation of high-passed blocks, weighted by how much detail they hold, so that brightness
    and contrast, even where they vary over the picture, do not matter; the worst blocks are left out.

    Args:
        first: m pictures, shape (m, n, n), n a multiple of 16.
        second: The same.
    Returns: Shape (m,).
    """
    a, b = first.astype(np.float32), second.astype(np.float32)
    maps = np.tile(np.array([[1.0, 0, 0], [0, 1, 0]]), (len(a), 1, 1))
    for factor, blur, steps in STAGES:
        maps = _aligned(_coarse(a, factor, blur), _coarse(b, factor, blur), maps, steps)
    moved, known = _moved(_detail(b), maps)
    return _blocks_agree(_detail(a), moved, known)


def _coarse(pictures: Pictures, factor: int, blur: float) -> Pictures:
    smooth = gaussian_filter(pictures, (0, blur, blur))
    m, n, _ = smooth.shape
    return np.asarray(smooth.reshape(m, n // factor, factor, n // factor, factor).mean((2, 4)))


def _detail(pictures: Pictures) -> Pictures:
    return np.asarray(pictures - gaussian_filter(pictures, (0, DETAIL, DETAIL)))


def _coordinates(n: int) -> tuple[Pictures, Pictures]:
    centred = ((np.arange(n) - (n - 1) / 2) / (n / 2)).astype(np.float32)
    x, y = np.meshgrid(centred, centred, indexing="ij")
    return x, y


def _moved(pictures: Pictures, maps: Maps) -> tuple[Pictures, Pictures]:
    """Pictures at the mapped places, linearly interpolated, and 1 where these lie within the picture, 0 elsewhere."""
    m, n, _ = pictures.shape
    gx, gy = _coordinates(n)
    p = maps.astype(np.float32)[:, :, :, None, None]
    x, y = ((p[:, axis, 0] * gx + p[:, axis, 1] * gy + p[:, axis, 2]) * (n / 2) + (n - 1) / 2 for axis in (0, 1))
    known = (x >= 0) & (x <= n - 1) & (y >= 0) & (y <= n - 1)
    x, y = np.clip(x, 0, n - 1.001), np.clip(y, 0, n - 1.001)
    i, j = x.astype(np.int32), y.astype(np.int32)
    x, y = x - i, y - j
    place = (np.arange(m, dtype=np.int32) * (n * n))[:, None, None] + i * n + j
    flat = pictures.reshape(-1)
    left = flat[place] * (1 - y) + flat[place + 1] * y
    right = flat[place + n] * (1 - y) + flat[place + n + 1] * y
    return left * (1 - x) + right * x, known.astype(np.float32)


def _aligned(a: Pictures, b: Pictures, maps: Maps, steps: int) -> Maps:
    """Affine maps that lay `b` on `a`, improved by some steps of the inverse compositional algorithm.

    References: Baker and Matthews, Int. J. Comput. Vis. 56:221 (2004), 3.2.
    """
    m, n, _ = a.shape
    gx, gy = _coordinates(n)
    along_x, along_y = np.gradient(a, axis=1) * (n / 2), np.gradient(a, axis=2) * (n / 2)
    slopes = np.stack([along_x * gx, along_x * gy, along_x, along_y * gx, along_y * gy, along_y], 1).reshape(m, 6, -1)
    target = a.reshape(m, -1)
    for _ in range(steps):
        moved, known = _moved(b, maps)
        weight = known.reshape(m, -1)
        error = weight * (_standard(moved.reshape(m, -1), weight, target) - _centred(target, weight))
        weighted = slopes * weight[:, None]
        curvature = np.matmul(weighted, slopes.transpose(0, 2, 1)).astype(np.float64)
        pull = np.matmul(weighted, error[:, :, None]).astype(np.float64)
        curvature += np.eye(6) * (1e-3 * np.trace(curvature, axis1=1, axis2=2)[:, None, None] / 6 + 1e-9)
        step = np.clip(np.linalg.solve(curvature, pull)[..., 0], -LONGEST_STEP, LONGEST_STEP)
        back = _square(np.array([[1.0, 0, 0], [0, 1, 0]]) + step.reshape(m, 2, 3))
        maps = np.matmul(_square(maps), np.linalg.inv(back))[:, :2]
        area = np.abs(np.linalg.det(maps[:, :, :2]))
        lost = (area < 1 / AREA_CHANGE) | (area > AREA_CHANGE) | (np.abs(maps[:, :, 2]).max(1) > LARGEST_SHIFT)
        maps[lost] = [[1, 0, 0], [0, 1, 0]]
    return maps


def _square(maps: Maps) -> Maps:
    whole = np.tile(np.eye(3), (len(maps), 1, 1))
    whole[:, :2] = maps
    return whole


def _centred(values: Pictures, weight: Pictures) -> Pictures:
    total = weight.sum(1, keepdims=True) + 1e-6
    return np.asarray(values - (weight * values).sum(1, keepdims=True) / total)


def _standard(values: Pictures, weight: Pictures, like: Pictures) -> Pictures:
    """Values with the weighted mean taken off and the spread of `like`: brightness and contrast matched."""
    centred, model = _centred(values, weight), _centred(like, weight)
    own, wanted = (np.sqrt((weight * part**2).sum(1, keepdims=True)) + 1e-6 for part in (centred, model))
    return np.asarray(centred * (wanted / own))


def _blocks_agree(a: Pictures, b: Pictures, known: Pictures) -> NDArray[np.float64]:
    """Mean correlation of blocks of `a` with those of `b` near the same place, weighted by their detail."""
    m, n, _ = a.shape

    def summed(pictures: Pictures) -> Pictures:
        return np.asarray(pictures.reshape(m, n // BLOCK, BLOCK, n // BLOCK, BLOCK).sum((2, 4)))

    margin = ((0, 0), (REACH, REACH), (REACH, REACH))
    wide, wide_known = np.pad(b * known, margin), np.pad(known, margin)
    best = np.full((m, n // BLOCK, n // BLOCK), -1.0)
    weight = np.zeros_like(best)
    for dx in range(2 * REACH + 1):
        for dy in range(2 * REACH + 1):
            there, seen = wide[:, dx : dx + n, dy : dy + n], wide_known[:, dx : dx + n, dy : dy + n]
            pixels = summed(seen)
            shared = np.maximum(pixels, 1)
            mean_a, mean_b = summed(a * seen) / shared, summed(there) / shared
            var_a = np.maximum(summed(a * a * seen) / shared - mean_a**2, 0)
            var_b = np.maximum(summed(there * there) / shared - mean_b**2, 0)
            both = np.sqrt(var_a * var_b)
            correlation = (summed(a * there) / shared - mean_a * mean_b) / np.maximum(both, 1e-6)
            better = (correlation > best) & (pixels > BLOCK * BLOCK / 2)
            best = np.where(better, correlation, best)
            weight = np.where(better, np.sqrt(both * pixels) / BLOCK, weight)
    size = BLOCK * BLOCK
    all_detail = np.sqrt(np.maximum(summed(a * a) / size - (summed(a) / size) ** 2, 0)).sum((1, 2))
    score = _mean_of_best(best.reshape(m, -1), weight.reshape(m, -1))
    return np.asarray(np.where(weight.sum((1, 2)) >= LEAST_COVER * all_detail, score, 0.0), np.float64)


def _mean_of_best(values: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted mean of each row without the lowest values, as many as have `MAY_DIFFER` of the weight."""
    order = np.argsort(values, axis=1)
    values, weight = np.take_along_axis(values, order, 1), np.take_along_axis(weight, order, 1)
    cumulated = np.cumsum(weight, axis=1)
    kept = np.clip(cumulated - MAY_DIFFER * cumulated[:, -1:], 0, weight)
    return np.asarray((kept * values).sum(1) / np.maximum(kept.sum(1), 1e-9))
