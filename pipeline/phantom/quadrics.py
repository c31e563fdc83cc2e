"""Convex solids cut out by quadrics, and the exact length of a ray inside them.

A quadric is a symmetric 4×4 matrix Q; the point p belongs to it where ``[p 1] Q [p 1]ᵀ ≤ 0``. An ellipsoid, an elliptic
cylinder, a slab and a half-space all have this form, and all are convex, so a *convex* (a stack of quadrics, shape
(k, 4, 4), meaning their intersection) meets every ray in one interval that is known in closed form. That is what makes
the phantom's radiographs and its CT slices views of one body: nothing is voxelised on the way.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Array",
    "bounds",
    "contains",
    "convex",
    "ellipsoid",
    "extents",
    "frame_along",
    "half_space",
    "in_frame",
    "paraboloid",
    "ray_interval",
    "rotation",
    "union_length",
]

Array: TypeAlias = NDArray[np.float64]

_PARALLEL = 1e-14  # 1/mm²: below this a quadric's second-order term along the ray is rounding


def ellipsoid(centre: ArrayLike, radii: ArrayLike, axes: ArrayLike | None = None) -> Array:
    """The quadric of an ellipsoid, shape (4, 4).

    Args:
        centre: Centre, mm, shape (3,).
        radii: Radii along the three axes, mm. An infinite radius makes an elliptic cylinder, two make a slab.
        axes: Unit axes as columns, shape (3, 3); the coordinate axes if None.
    """
    centre, axes = np.asarray(centre, float), np.eye(3) if axes is None else np.asarray(axes, float)
    form = axes @ np.diag(np.asarray(radii, float) ** -2.0) @ axes.T
    quadric = np.empty((4, 4))
    quadric[:3, :3] = form
    quadric[:3, 3] = quadric[3, :3] = -form @ centre
    quadric[3, 3] = centre @ form @ centre - 1.0
    return quadric


def half_space(normal: ArrayLike, point: ArrayLike) -> Array:
    """The quadric of the half-space behind a plane: ``normal · (p − point) ≤ 0``, shape (4, 4)."""
    normal = np.asarray(normal, float)
    quadric = np.zeros((4, 4))
    quadric[:3, 3] = quadric[3, :3] = normal / 2
    quadric[3, 3] = -normal @ np.asarray(point, float)
    return quadric


def paraboloid(top: ArrayLike, widths: tuple[float, float]) -> Array:
    """The quadric of a paraboloid that opens downwards (−z), shape (4, 4).

    Args:
        top: Its highest point, mm, shape (3,).
        widths: Twice the radius of curvature at the top, mm, across x and y.
    """
    x, y, z = np.asarray(top, float)
    quadric = np.diag([1 / widths[0], 1 / widths[1], 0.0, 0.0])
    quadric[:3, 3] = quadric[3, :3] = -x / widths[0], -y / widths[1], 0.5
    quadric[3, 3] = x * x / widths[0] + y * y / widths[1] - z
    return quadric


def convex(*quadrics: Array) -> Array:
    """The intersection of quadrics (4, 4) and convexes (k, 4, 4), shape (n, 4, 4)."""
    return np.concatenate([quadric.reshape(-1, 4, 4) for quadric in quadrics])


def rotation(x_deg: float = 0.0, y_deg: float = 0.0, z_deg: float = 0.0) -> Array:
    """Rotation matrix: about x first, then y, then z; degrees, right-handed."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians([x_deg, y_deg, z_deg])):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def frame_along(direction: ArrayLike) -> Array:
    """Orthonormal axes as columns, shape (3, 3), the first of them along `direction`."""
    # The mirror that takes the x axis to the direction.
    towards = np.asarray(direction, float) / np.linalg.norm(direction)
    normal = towards - (1.0, 0.0, 0.0)
    square = normal @ normal
    return np.eye(3) if square < 1e-24 else np.eye(3) - np.outer(normal, normal) * (2 / square)


def in_frame(solid: Array, to_mm: Array) -> Array:
    """The convex in other coordinates.

    Args:
        solid: Convex in millimetres, shape (k, 4, 4).
        to_mm: Affine from the other coordinates (for example voxel indices) to millimetres, shape (4, 4).
    """
    return to_mm.T @ solid @ to_mm


def contains(solid: Array, x: Array, y: Array, z: Array) -> NDArray[np.bool_]:
    """Which points the convex holds; the coordinates broadcast, so an open grid costs little memory."""
    inside: NDArray[np.bool_] | None = None
    for q in solid:
        value = x * (q[0, 0] * x + 2 * (q[0, 1] * y + q[0, 3])) + q[3, 3]
        value = value + y * (q[1, 1] * y + 2 * q[1, 3])
        value = value + z * (q[2, 2] * z + 2 * (q[0, 2] * x + q[1, 2] * y + q[2, 3]))
        inside = value <= 0 if inside is None else inside & (value <= 0)
    if inside is None:
        raise ValueError("A convex needs at least one quadric.")
    return inside


def ray_interval(solid: Array, i: Array, j: Array) -> tuple[Array, Array]:
    """Where rays along the third coordinate enter and leave the convex.

    Args:
        solid: Convex in the frame of the rays, shape (k, 4, 4).
        i: First coordinate of the rays; broadcasts with `j`.
        j: Second coordinate of the rays.
    Returns: Entry and exit in the third coordinate, in the broadcast shape; entry > exit where a ray misses.
    """
    shape = np.broadcast_shapes(i.shape, j.shape)
    enter, leave = np.full(shape, -np.inf), np.full(shape, np.inf)
    for q in solid:
        a = q[2, 2]
        b = (q[0, 2] * i + q[2, 3]) + q[1, 2] * j
        c = i * (q[0, 0] * i + 2 * q[0, 3]) + (j * (q[1, 1] * j + 2 * q[1, 3]) + q[3, 3])
        if q[0, 1]:
            c += (2 * q[0, 1] * i) * j
        if a > _PARALLEL:
            discriminant = b * b - a * c
            missed = discriminant < 0
            discriminant[missed] = 0.0
            root = np.sqrt(discriminant, out=discriminant)
            np.maximum(enter, (-b - root) / a, out=enter)
            np.minimum(leave, (root - b) / a, out=leave)
            enter[missed], leave[missed] = np.inf, -np.inf
        else:
            # A plane, which a ray crosses once; or anything that the rays run along (b = 0), and are inside of or not.
            with np.errstate(divide="ignore", invalid="ignore"):
                crossing = -c / (2 * b)
            np.maximum(enter, np.where(b < 0, crossing, -np.inf), out=enter)
            np.minimum(leave, np.where(b > 0, crossing, np.inf), out=leave)
            missed = np.broadcast_to((b == 0) & (c > 0), shape)
            enter[missed], leave[missed] = np.inf, -np.inf
    return enter, leave


def union_length(enter: list[Array], leave: list[Array]) -> Array:
    """Length of the union of intervals, ray by ray; an interval with leave ≤ enter is empty.

    Entries and exits are sorted apart from each other: how many intervals cover a point depends on the two lists
    alone, not on which exit belongs to which entry.
    """
    starts = np.sort(np.stack(enter), axis=0)
    ends = np.sort(np.maximum(np.stack(leave), np.stack(enter)), axis=0)
    total = ends[0] - starts[0]
    for k in range(1, len(starts)):
        total += np.maximum(ends[k] - np.maximum(starts[k], ends[k - 1]), 0.0)
    return total


def bounds(solids: Array) -> Array:
    """Ellipsoids that hold convexes, as dual quadrics (inverse matrices); NaN for those that are unbounded.

    Each sum of two of its quadrics holds a solid too, and the sum of a cylinder and a slab is an ellipsoid: so the
    bounds are tight even for a thin slice of a large shell.

    Args:
        solids: Convexes of k quadrics each, shape (n, k, 4, 4).
    Returns: Shape (n, k (k + 1) / 2, 4, 4).
    """
    first, second = np.triu_indices(solids.shape[1])
    held_by = solids[:, first] + solids[:, second]
    form = held_by[..., :3, :3]
    # Bounded if positive definite: judged at unit diagonal, so that "singular" does not depend on the unit.
    diagonal = np.diagonal(form, axis1=-2, axis2=-1)
    size = np.sqrt(np.where(diagonal > 0, diagonal, np.inf))
    closed = np.linalg.det(form / (size[..., :, None] * size[..., None, :])) > 1e-9
    duals = np.full_like(held_by, np.nan)
    duals[closed] = np.linalg.inv(held_by[closed])
    return duals


def extents(duals: Array) -> tuple[Array, Array]:
    """Lowest and highest coordinates of ellipsoids given as dual quadrics (..., 4, 4), both of shape (..., 3).

    A plane touches the ellipsoid where its dual form vanishes: a quadratic equation for each coordinate.
    """
    scale = duals[..., 3, 3, None]
    centre = duals[..., 3, :3] / scale
    half = np.sqrt(np.maximum(centre**2 - np.diagonal(duals, axis1=-2, axis2=-1)[..., :3] / scale, 0.0))
    return centre - half, centre + half
