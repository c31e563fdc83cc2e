"""One phantom: its ground truth at any point, its CT on any grid, its line integrals along any parallel beam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.phantom.anatomy import AIR_HU, Label, Part, build_parts
from pipeline.phantom.habitus import Habitus, draw_habitus
from pipeline.phantom.quadrics import Array, Box, bounding_box, contains, in_frame, ray_interval, union_length

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
        for part in self.parts:
            part, box = _on_grid(part, to_lps, shape)
            if box is None:
                continue
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
        for part in self.parts:
            part, box = _on_grid(part, to_lps, shape)
            if box is None:
                continue
            length_mm = _length(part, *_open_grid(box))
            water_mm[box] += length_mm * (part.hu_change / 1000.0)
            if part.label is not None:
                shadows[part.label][box] |= length_mm > 0
        shadows[Label.BACKGROUND] = ~shadows[Label.BODY]
        return water_mm, shadows


def thorax(seed: int | list[int], **changes: object) -> Thorax:
    """The phantom of a seed.

    Args:
        seed: Any seed of `numpy.random.default_rng`.
        **changes: Fields of `Habitus` to set by hand, for example ``opacity="none"``.
    """
    from dataclasses import replace

    habitus = replace(draw_habitus(np.random.default_rng(seed)), **changes)  # type: ignore[arg-type]
    return Thorax(habitus, build_parts(habitus))


def _holds(part: Part, x: Array, y: Array, z: Array) -> NDArray[np.bool_]:
    inside = contains(part.solid, x, y, z)
    for hole in part.holes:
        inside &= ~contains(hole, x, y, z)
    return inside


def _on_grid(part: Part, to_lps: Array, shape: tuple[int, ...]) -> tuple[Part, Box | None]:
    """The part in index coordinates, without the holes that miss it, and the box of indices that holds it."""
    solid = in_frame(part.solid, to_lps)
    box = bounding_box(solid, shape)
    if box is None:
        return part, None
    holes = [in_frame(hole, to_lps) for hole in part.holes]
    near = tuple(hole for hole in holes if _overlap(bounding_box(hole, shape), box))
    return Part(part.name, solid, part.hu_change, part.label, near), box


def _overlap(a: Box | None, b: Box) -> bool:
    return a is not None and all(s.start < t.stop and t.start < s.stop for s, t in zip(a, b, strict=True))


def _open_grid(box: Box) -> list[Array]:
    return [g.astype(float) for g in np.ogrid[box]]


def _length(part: Part, i: Array, j: Array) -> Array:
    """Length of each ray within the part."""
    enter, leave = ray_interval(part.solid, i, j)
    length = np.maximum(leave - enter, 0.0)
    if part.holes:
        leave = np.maximum(enter, leave)
        holes = [ray_interval(hole, i, j) for hole in part.holes]
        starts = [np.clip(a, enter, leave) for a, _ in holes]
        ends = [np.clip(b, enter, leave) for _, b in holes]
        length -= union_length(starts, ends)
        length[length < 1e-9] = 0.0
    return length
