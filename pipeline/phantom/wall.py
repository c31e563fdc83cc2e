"""The body wall: skin, fat and muscle of chest, shoulders, arms and neck; and the cage that holds the lungs."""

from __future__ import annotations

from math import inf

from pipeline.phantom.habitus import Habitus
from pipeline.phantom.parts import SIDES, tube
from pipeline.phantom.quadrics import Array, convex, ellipsoid, half_space, rotation

__all__ = ["cage", "envelope", "muscle"]


def envelope(h: Habitus, depth_mm: float) -> list[Array]:
    """Outer surface, `depth_mm` below the skin."""
    fat = h.fat_mm + h.skin_mm - depth_mm
    breasts = []
    if h.breast_mm:
        b, droop = h.breast_mm - depth_mm, rotation(x_deg=-28)
        centre_y = -100 - 0.5 * h.fat_mm
        breasts = [convex(ellipsoid((s * 74, centre_y, -62), (b * 1.15, b * 0.75, b * 1.6), droop)) for s in SIDES]
    return [_torso(h, fat), *_shoulders(0.6 * fat), _neck(0.4 * fat), *breasts]


def muscle(h: Habitus) -> list[Array]:
    """All within the fat; the organs are cut into it."""
    return [_torso(h, 0.0), *_shoulders(0.0), _neck(0.0)]


def _torso(h: Habitus, grow_mm: float) -> Array:
    wall = h.muscle_mm + grow_mm
    slopes = [half_space((0.40 * s, 0, 0.92), (s * 55, 0, 176 + 0.4 * grow_mm)) for s in SIDES]
    # Chest and back recede towards the neck.
    faces = [
        half_space((0, -0.75, 0.66), (0, -92 - 1.2 * grow_mm, 96)),
        half_space((0, 0.88, 0.47), (0, 110 + 1.2 * grow_mm, 96)),
    ]
    return convex(ellipsoid((0, 6, -110), (150 + wall, 112 + wall, 620)), *slopes, *faces)


def _shoulders(grow_mm: float) -> list[Array]:
    """Deltoids, and arms held away from the chest."""
    solids = []
    for s in SIDES:
        solids.append(
            convex(ellipsoid((s * 150, 18, 92), (68 + grow_mm, 48 + grow_mm, 50 + grow_mm), rotation(y_deg=s * 28)))
        )
        solids.append(tube((s * 170, 16, 90), (s * 290, 10, -180), 42 + grow_mm))
    return solids


def _neck(grow_mm: float) -> Array:
    return convex(ellipsoid((0, 8, 0), (54 + grow_mm, 58 + grow_mm, inf)), half_space((0, 0, -1), (0, 0, 100)))


def cage(grow_mm: float) -> Array:
    """Inner surface of the ribs, grown outwards."""
    return ellipsoid((0, 2, -85), (139 + grow_mm, 97 + grow_mm, 250 + grow_mm))
