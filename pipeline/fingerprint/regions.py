"""The shape of the regions of a mask: areas, objects, holes, boundary, place and direction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["SPECK_SHARE", "Region", "boundary_length", "classes_inside", "filled", "measure_region"]

# Diagonal neighbours belong to one object, as in MONAI's connected components; a hole is closed by its edges alone.
EIGHT = np.ones((3, 3), np.uint8)
# The share of a class that must lie within another to count as inside it: masks have ragged edges.
MOSTLY = 0.95
# Below this share of its class an object is a speck: noise of a mask, not anatomy.
SPECK_SHARE = 0.02


@dataclass(frozen=True, eq=False)
class Region:
    """One class of one mask, or its whole foreground.

    Attributes:
        area: Pixels.
        objects: Area of each connected component, pixels, ascending; may be left away to save memory.
        n_objects: Their number.
        n_counted: Those of at least `SPECK_SHARE` of the area.
        largest: Area of the largest.
        hole_area: Pixels of background that the class encloses.
        boundary_px: Length of its boundary within the picture, pixels.
        touches_border: Whether it reaches the picture's edge.
        centroid: (x, y) as shares of width and height.
        axis_rad: Direction of its longest extent against x, in [0, π).
        elongation: 0 for what is as wide as it is long, towards 1 for a line.
    """

    area: int
    objects: NDArray[np.int64]
    n_objects: int
    n_counted: int
    largest: int
    hole_area: int
    boundary_px: float
    touches_border: bool
    centroid: tuple[float, float]
    axis_rad: float
    elongation: float


def measure_region(region: NDArray[np.bool_], background: NDArray[np.bool_]) -> Region | None:
    """Measure a region; None if it is empty.

    Args:
        region: Shape (W, H).
        background: Where no class is, shape (W, H): only there can a hole be.
    """
    box = _box(region)
    if box is None:
        return None
    inner = region[box]
    labelled, number = ndimage.label(inner, EIGHT)
    sizes = np.sort(np.bincount(labelled.ravel(), minlength=number + 1)[1:])
    area = int(sizes.sum())
    holes = filled(inner) & ~inner & background[box]
    touches = bool(region[0].any() or region[-1].any() or region[:, 0].any() or region[:, -1].any())
    along_x, along_y = inner.sum(1, dtype=np.int64), inner.sum(0, dtype=np.int64)
    x, y = np.arange(len(along_x)), np.arange(len(along_y))
    mean_x, mean_y = float(along_x @ x) / area, float(along_y @ y) / area
    # A pixel is a square, not a point: a twelfth of its side squared.
    var_x = float(along_x @ (x - mean_x) ** 2) / area + 1 / 12
    var_y = float(along_y @ (y - mean_y) ** 2) / area + 1 / 12
    covariance = float((x - mean_x) @ inner @ (y - mean_y)) / area
    spread = math.hypot(var_x - var_y, 2 * covariance)
    return Region(
        area=area,
        objects=sizes,
        n_objects=number,
        n_counted=int((sizes >= SPECK_SHARE * area).sum()),
        largest=int(sizes[-1]),
        hole_area=int(np.count_nonzero(holes)),
        boundary_px=boundary_length(region[_grown(box, region.shape)]),
        touches_border=touches,
        centroid=((box[0].start + mean_x + 0.5) / region.shape[0], (box[1].start + mean_y + 0.5) / region.shape[1]),
        axis_rad=(0.5 * math.atan2(2 * covariance, var_x - var_y)) % math.pi,
        elongation=spread / (var_x + var_y),
    )


def filled(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The region with its holes: what is not reached from outside by steps along edges. Shape (W, H)."""
    outside, number = ndimage.label(np.pad(~region, 1, constant_values=True))
    if number <= 1:
        return region.copy()
    return np.asarray(outside[1:-1, 1:-1] != outside[0, 0])


def boundary_length(region: NDArray[np.bool_]) -> float:
    """Length of a boundary in pixels, from its crossings with lines in four directions (Cauchy and Crofton).

    Where the region ends at the array's edge there is no boundary. Off by at most a few percent for smooth shapes.

    References: Legland et al., Image Anal. Stereol. 26:83 (2007).
    """
    straight = np.count_nonzero(region[1:] != region[:-1]) + np.count_nonzero(region[:, 1:] != region[:, :-1])
    slanted = np.count_nonzero(region[1:, 1:] != region[:-1, :-1]) + np.count_nonzero(
        region[1:, :-1] != region[:-1, 1:]
    )
    return math.pi / 8 * (straight + slanted / math.sqrt(2))


def classes_inside(classes: NDArray[np.uint8], present: list[int]) -> list[tuple[int, int]]:
    """The pairs (a, b) of classes in which a lies within b or b's holes.

    Args:
        classes: Class indices, shape (W, H).
        present: The classes that occur in it, without the background.
    """
    areas = np.bincount(classes.ravel())
    pairs = []
    for outer in present if len(present) > 1 else ():
        region = classes == outer
        box = _box(region)
        if box is None:
            continue
        within = np.bincount(classes[box][filled(region[box])], minlength=len(areas))
        pairs += [(a, outer) for a in present if a != outer and within[a] >= MOSTLY * areas[a]]
    return sorted(pairs)


def _box(region: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    columns, rows = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    if not len(columns):
        return None
    return slice(int(columns[0]), int(columns[-1]) + 1), slice(int(rows[0]), int(rows[-1]) + 1)


def _grown(box: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The box with one pixel more on each side where there is one."""
    x, y = (slice(max(0, part.start - 1), min(length, part.stop + 1)) for part, length in zip(box, shape, strict=True))
    return x, y
