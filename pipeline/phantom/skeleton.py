"""The bones."""

from __future__ import annotations

from math import inf

import numpy as np

from pipeline.phantom.habitus import Habitus
from pipeline.phantom.parts import SIDES, Label, Part, layer, spindle, tube
from pipeline.phantom.quadrics import Array, convex, ellipsoid, frame_along, half_space, rotation
from pipeline.phantom.wall import cage

__all__ = ["ribs", "shoulder_girdle", "spine"]


# How far each rib reaches forwards: the floating ribs are short.
_RIB_REACH_MM = (58, 68, 74, 78, 80, 80, 78, 70, 56, 34, 2, -30)


def spine(h: Habitus) -> tuple[Array, Array, list[Part]]:
    """The column, the room for its arches behind (both push other organs aside), and all parts of the spine."""
    lean = np.array([*h.spine_lean, 1.0])
    axes = frame_along(lean)  # along the column, backwards, to the left

    def place(z: float, x: float = 0.0, y: float = 0.0) -> Array:
        return np.array([x, 55 + y, 0]) + lean * z

    column = convex(ellipsoid(place(0), (inf, 16, 19), axes))
    paraspinal = convex(ellipsoid(place(0, y=38), (inf, 30, 46), axes))
    bone = 100 * h.bone_density
    parts = [Part("discs", column, 30.0, Label.SPINE)]
    for k in range(15):
        z = -235 + 27.5 * k
        for name, at, half in (("vertebra", z, 11.5), ("end plate", z + 10, 1.6), ("end plate", z - 10, 1.6)):
            slab = ellipsoid(place(at), (half, inf, inf), axes)
            parts.append(Part(name, convex(slab, column), bone, Label.SPINE))
        for s in SIDES:
            pedicle = convex(ellipsoid(place(z + 4, s * 13, 22), (5, 10, 6)))
            process = convex(ellipsoid(place(z + 2, s * 24, 32), (15, 5, 5), rotation(z_deg=s * 18)))
            parts += layer("vertebral arch", [pedicle, process], 220 * h.bone_density, Label.SPINE, (column,))
        behind = 42 - 0.22 * max(z - 60, 0)  # shorter towards the neck, where the back is nearer
        tip = place(z - 9, h.spine_bow_mm * np.sin(k), behind)
        spinous = convex(ellipsoid(tip, (3.5, behind / 3, 9), rotation(x_deg=20)))
        parts.append(Part("spinous process", spinous, 110 * h.bone_density, Label.SPINE))
    return column, paraspinal, parts


def ribs(h: Habitus) -> list[Part]:
    """Twelve pairs: the shell between two ellipsoids, cut by slanting slabs — curved tubes with a flat section."""
    bone = 1500 * h.bone_density
    parts = []
    for s in SIDES:
        normal = np.array([s * h.rib_slope, -h.rib_droop, 1.0])
        axes = frame_along(normal)
        medial = half_space((-s, 0, 0), (s * 17.0, 0, 0))
        for k, reach in enumerate(_RIB_REACH_MM):
            # The bone ends where its cartilage begins.
            front = half_space((-0.75 * s, -1.0, 0.0), (s * 25.0, -reach, 0.0))
            middle = (0.0, 92.0, 150 - 25.5 * k + h.rib_offset_mm)
            for name, change, label, inner, outer, half in (
                ("rib", bone, Label.BONES, 0.0, 8.0, 5.6),
                ("rib marrow", -0.7 * bone, None, 2.0, 6.0, 3.9),
            ):
                slab = ellipsoid(middle, (half - 0.05 * k, inf, inf), axes)
                solid = convex(cage(outer), slab, front, medial)
                parts.append(Part(name, solid, change, label, (convex(cage(inner)),)))
    return parts


def shoulder_girdle(h: Habitus) -> list[Part]:
    """Sternum, clavicles, shoulder blades and upper arms."""
    bone = 1000 * h.bone_density
    parts = [Part("sternum", convex(ellipsoid((0, -106, -5), (19, 6, 82))), 0.3 * bone, Label.BONES)]
    for s in SIDES:
        inner, middle, outer = np.array([[s * 14, -58, 98], [s * 82, -52, 113], [s * 152, 8, 130]], float)
        parts += layer(
            "clavicle",
            [
                spindle(inner - (middle - inner) * 0.1, middle + (middle - inner) * 0.15, 6.5),
                spindle(middle - (outer - middle) * 0.2, outer, 6.0),
            ],
            1.7 * bone,
            Label.BONES,
        )
        blade = convex(
            ellipsoid((s * 116, 68, 34), (28, 3.5, 68), rotation(z_deg=s * -40)),
        )
        parts.append(Part("scapula", blade, 0.7 * bone, Label.BONES))
        parts += layer(
            "humerus",
            [convex(ellipsoid((s * 174, 16, 98), (24, 23, 24))), tube((s * 178, 16, 84), (s * 290, 10, -180), 12)],
            0.6 * bone,
            Label.BONES,
        )
    return parts
