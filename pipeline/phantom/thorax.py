"""One phantom: its ground truth at any point, its CT on any grid, its line integrals along any parallel beam."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.phantom.anatomy import build_parts
from pipeline.phantom.habitus import Habitus, draw_habitus
from pipeline.phantom.parts import AIR_HU, Label, Part
from pipeline.phantom.quadrics import Array, bounds, contains, extents, in_frame, ray_interval, union_length

__all__ = ["RAS_TO_LPS", "Thorax", "thorax"]

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Thorax:
    """A body made of parts, each an analytic solid in patient millimetres (LPS)."""

    habitus: Habitus
    parts: tuple[Part, ...]

    def label_at(self, points_lps_mm: ArrayLike) -> NDArray[np.uint8]:
        """The exact `Label` of points.

        Args:
            points_lps_mm: Patient coordinates, mm, shape (..., 3).
        Returns: Class indices, shape (...).
        """
        x, y, z = np.moveaxis(np.asarray(points_lps_mm, float), -1, 0)
        labels = np.zeros(x.shape, np.uint8)
        for part in self.parts:
            if part.label is not None:
                labels[_holds(part, x, y, z)] = part.label
        return labels

    def hu_at(self, points_lps_mm: ArrayLike) -> Array:
        """The exact HU of points, without noise.

        Args:
            points_lps_mm: Patient coordinates, mm, shape (..., 3).
        Returns: HU, shape (...).
        """
        x, y, z = np.moveaxis(np.asarray(points_lps_mm, float), -1, 0)
        hu = np.full(x.shape, AIR_HU)
        for part in self.parts:
            hu[_holds(part, x, y, z)] += part.hu_change
        return hu

    def ct(self, shape: tuple[int, int, int], affine: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """HU and labels at the voxel centres of any grid: oblique, flipped, anisotropic, left-handed.

        Args:
            shape: Grid size.
            affine: From voxel indices to RAS+ mm (as NIfTI and MONAI have it), shape (4, 4).
        Returns: HU without noise, and class indices of `Label`; both of shape `shape`.
        """
        to_lps = RAS_TO_LPS @ np.asarray(affine, float)
        hu = np.full(shape, AIR_HU, np.float32)
        labels = np.zeros(shape, np.uint8)
        for part, box in self._on_grid(to_lps, shape):
            inside = _holds(part, *_open_grid(box))
            hu[box][inside] += np.float32(part.hu_change)
            if part.label is not None:
                labels[box][inside] = part.label
        return hu, labels

    def project(self, shape: tuple[int, int], affine: ArrayLike) -> tuple[Array, dict[Label, NDArray[np.bool_]]]:
        """Exact line integrals along parallel rays, one for each pixel centre.

        Args:
            shape: Pixels (columns, rows), the first two indices of the grid.
            affine: From (column, row, mm along the beam) to RAS+ mm, shape (4, 4); the third column is a unit vector.
        Returns: The integral of 1 + HU/1000, that is millimetres of water, shape `shape`; and the shadow of each label:
            the pixels whose ray meets it.
        """
        to_lps = RAS_TO_LPS @ np.asarray(affine, float)
        water_mm = np.zeros(shape)
        shadows = {label: np.zeros(shape, bool) for label in Label}
        for part, box in self._on_grid(to_lps, shape):
            length_mm = _length(part, *_open_grid(box))
            water_mm[box] += length_mm * (part.hu_change / 1000.0)
            if part.label is not None:
                shadows[part.label][box] |= length_mm > 0
        shadows[Label.BACKGROUND] = ~shadows[Label.BODY]
        return water_mm, shadows

    @cached_property
    def _solids(self) -> list[tuple[list[int], Array, Array]]:
        """The convexes, each once, as (ids, convexes, bounds) for each number of quadrics: holes are shared by many."""
        solids = {id(solid): solid for part in self.parts for solid in (part.solid, *part.holes)}
        groups = []
        for count in sorted({len(solid) for solid in solids.values()}):
            keys = [key for key, solid in solids.items() if len(solid) == count]
            stack = np.stack([solids[key] for key in keys])
            groups.append((keys, stack, bounds(stack)))
        return groups

    def _on_grid(self, to_lps: Array, shape: tuple[int, ...]) -> Iterator[tuple[Part, tuple[slice, ...]]]:
        """The parts that meet a grid, in index coordinates, each with the box of indices that holds it.

        Holes that miss the box are left out.
        """
        from_lps = np.linalg.inv(to_lps)
        grid: dict[int, tuple[Array, Array, Array]] = {}
        for keys, stack, duals in self._solids:
            lows, highs = extents(from_lps @ duals @ from_lps.T)
            low = np.ceil(np.fmax.reduce(lows[..., : len(shape)], axis=1, initial=0.0)).astype(int)
            high = np.floor(np.fmin.reduce(highs[..., : len(shape)], axis=1, initial=np.inf)) + 1
            high = np.minimum(high, shape).astype(int)
            grid.update(zip(keys, zip(in_frame(stack, to_lps), low, high, strict=True), strict=True))
        for part in self.parts:
            solid, low, high = grid[id(part.solid)]
            if np.all(low < high):
                holes = (grid[id(hole)] for hole in part.holes)
                near = tuple(hole for hole, start, stop in holes if np.all((start < high) & (low < stop)))
                yield replace(part, solid=solid, holes=near), tuple(map(slice, low.tolist(), high.tolist()))


def thorax(seed: int | list[int], **changes: object) -> Thorax:
    """The phantom of a seed.

    Args:
        seed: Any seed of `numpy.random.default_rng`.
        **changes: Fields of `Habitus` to set by hand, for example ``opacity="none"``.
    """
    habitus = replace(draw_habitus(np.random.default_rng(seed)), **changes)  # type: ignore[arg-type]
    return Thorax(habitus, build_parts(habitus))


def _holds(part: Part, x: Array, y: Array, z: Array) -> NDArray[np.bool_]:
    inside = contains(part.solid, x, y, z)
    for hole in part.holes:
        inside &= ~contains(hole, x, y, z)
    return inside


def _open_grid(box: tuple[slice, ...]) -> list[Array]:
    return [g.astype(float) for g in np.ogrid[box]]


def _length(part: Part, i: Array, j: Array) -> Array:
    """Length of each ray within the part."""
    enter, leave = ray_interval(part.solid, i, j)
    length = np.maximum(leave - enter, 0.0)
    if part.holes:
        hit = length > 0
        i, j = np.broadcast_to(i, hit.shape)[hit], np.broadcast_to(j, hit.shape)[hit]
        enter, leave = enter[hit], leave[hit]
        holes = [ray_interval(hole, i, j) for hole in part.holes]
        starts = [np.clip(start, enter, leave) for start, _ in holes]
        ends = [np.clip(end, enter, leave) for _, end in holes]
        left = length[hit] - union_length(starts, ends)
        length[hit] = np.where(left > 1e-9, left, 0.0)  # what rounding leaves of a ray that the holes cover
    return length
