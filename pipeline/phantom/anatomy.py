"""The thorax as solids: which organ lies where, in patient millimetres (LPS).

x points to the phantom's left, y to its back, z to its head; the origin lies between the lungs, about 5 cm below the
carina. Numbers are those of an adult; none is a measurement.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from math import inf

import numpy as np

from pipeline.phantom.habitus import Habitus
from pipeline.phantom.quadrics import (
    Array,
    bounds,
    contains,
    convex,
    ellipsoid,
    extents,
    frame_along,
    half_space,
    paraboloid,
    rotation,
)

__all__ = ["Label", "Part", "build_parts"]


class Label(IntEnum):
    """What a point of the phantom belongs to; also the class indices of its CT masks."""

    BACKGROUND = 0
    RIGHT_LUNG = 1
    LEFT_LUNG = 2
    HEART = 3
    MEDIASTINUM = 4
    TRACHEA = 5
    SPINE = 6
    BONES = 7
    ABDOMEN = 8
    BODY = 9


AIR_HU, SKIN_HU, FAT_HU, MUSCLE_HU, BLOOD_HU = -1000.0, 20.0, -105.0, 50.0, 42.0
_RIGHT, _LEFT = -1, 1


@dataclass(frozen=True)
class Part:
    """A solid that changes the HU of what it holds, and may name it.

    Changes add up, so a line integral is a plain sum over parts; later labels win over earlier ones.

    Attributes:
        name: For people.
        solid: Convex, shape (k, 4, 4), LPS mm.
        hu_change: Added to the HU inside.
        label: None leaves the label of what lies below.
        holes: Convexes that are cut out of the solid.
    """

    name: str
    solid: Array
    hu_change: float
    label: Label | None = None
    holes: tuple[Array, ...] = ()


def build_parts(habitus: Habitus) -> tuple[Part, ...]:
    """All parts of one thorax, from the skin inwards."""
    h = habitus
    sides = (_RIGHT, _LEFT)
    column, paraspinal, bones_of_the_spine = _spine(h)
    domes = {side: _dome(h, side) for side in sides}
    vessels = _great_vessels(h)
    heart = _heart(h)
    middle = convex(ellipsoid((0, 0, 0), (h.mediastinum_mm, 46, inf)), ellipsoid((0, 0, 0), (inf, inf, 150)))
    airways = _airways(h)
    lungs = {side: _lung(h, side) for side in sides}
    lung_holes = (heart, middle, column, paraspinal, *vessels, *domes.values())
    opacities = _opacities(h, lungs[h.opacity_side], lung_holes)
    gas = _stomach(h)

    parts = [
        *_layer("skin", _envelope(h, 0.0), SKIN_HU - AIR_HU, Label.BODY),
        *_layer("fat", _envelope(h, h.skin_mm), FAT_HU - SKIN_HU),
        *_layer("muscle", _muscle(h), MUSCLE_HU - FAT_HU),
        *(Part("liver" if s == _RIGHT else "spleen", domes[s], 10.0, Label.ABDOMEN) for s in sides),
        *(Part("stomach gas", bubble, -1000.0, Label.ABDOMEN) for bubble in gas),
        Part("mediastinal fat", middle, -80.0, Label.MEDIASTINUM, (heart, column, *vessels, *airways, *domes.values())),
        *_layer("great vessel", vessels, BLOOD_HU - MUSCLE_HU, Label.MEDIASTINUM, (heart, column, *airways)),
        Part("heart", heart, BLOOD_HU - MUSCLE_HU, Label.HEART, (column,)),
        *(Part("lung", lungs[s], h.lung_hu - MUSCLE_HU, _lung_label(s), lung_holes) for s in sides),
        *_vessel_parts(h, [_lung_vessels(h, lungs[s], lung_holes, s) for s in sides], opacities),
        *opacities,
        *_layer("airway", airways, AIR_HU - MUSCLE_HU, Label.TRACHEA),
        *bones_of_the_spine,
        *_ribs(h),
        *_shoulder_girdle(h),
    ]
    return _scaled(parts, h.scale)


def _scaled(parts: list[Part], scale: tuple[float, float, float]) -> tuple[Part, ...]:
    """The parts in a body of another size; a convex that parts share stays shared."""
    shrink = np.diag([*(1.0 / np.asarray(scale)), 1.0])
    solids = {id(solid): solid for part in parts for solid in (part.solid, *part.holes)}
    grown = {key: shrink @ solid @ shrink for key, solid in solids.items()}
    return tuple(
        replace(part, solid=grown[id(part.solid)], holes=tuple(grown[id(hole)] for hole in part.holes))
        for part in parts
    )


def _lung_label(side: int) -> Label:
    return Label.RIGHT_LUNG if side == _RIGHT else Label.LEFT_LUNG


def _layer(
    name: str, solids: Iterable[Array], hu_change: float, label: Label | None = None, holes: tuple[Array, ...] = ()
) -> list[Part]:
    """A union of convexes as disjoint parts: each without the ones before it."""
    solids = list(solids)
    return [Part(name, solid, hu_change, label, (*holes, *solids[:k])) for k, solid in enumerate(solids)]


# --- body wall ---------------------------------------------------------------------------------------------------


def _envelope(h: Habitus, depth_mm: float) -> list[Array]:
    """Outer surface, `depth_mm` below the skin."""
    fat = h.fat_mm + h.skin_mm - depth_mm
    breasts = []
    if h.breast_mm:
        b, droop = h.breast_mm - depth_mm, rotation(x_deg=-28)
        centre_y = -100 - 0.5 * h.fat_mm
        breasts = [
            convex(ellipsoid((s * 74, centre_y, -62), (b * 1.15, b * 0.75, b * 1.6), droop)) for s in (_RIGHT, _LEFT)
        ]
    return [_torso(h, fat), *_shoulders(0.6 * fat), _neck(0.4 * fat), *breasts]


def _muscle(h: Habitus) -> list[Array]:
    return [_torso(h, 0.0), *_shoulders(0.0), _neck(0.0)]


def _torso(h: Habitus, grow_mm: float) -> Array:
    wall = h.muscle_mm + grow_mm
    slopes = [half_space((0.40 * s, 0, 0.92), (s * 55, 0, 176 + 0.4 * grow_mm)) for s in (_RIGHT, _LEFT)]
    # Chest and back recede towards the neck.
    faces = [half_space((0, 0.75 * f, 0.66), (0, 8 + f * (100 + 1.2 * grow_mm), 96)) for f in (-1, 1)]
    return convex(ellipsoid((0, 6, -110), (150 + wall, 112 + wall, 620)), *slopes, *faces)


def _shoulders(grow_mm: float) -> list[Array]:
    """Deltoids, and arms held away from the chest."""
    solids = []
    for s in (_RIGHT, _LEFT):
        solids.append(
            convex(ellipsoid((s * 150, 18, 92), (68 + grow_mm, 48 + grow_mm, 50 + grow_mm), rotation(y_deg=s * 28)))
        )
        solids.append(_tube((s * 170, 16, 90), (s * 290, 10, -180), 42 + grow_mm))
    return solids


def _neck(grow_mm: float) -> Array:
    return convex(ellipsoid((0, 8, 0), (54 + grow_mm, 58 + grow_mm, inf)), half_space((0, 0, -1), (0, 0, 100)))


# --- organs ------------------------------------------------------------------------------------------------------


def _cage(grow_mm: float) -> Array:
    """Inner surface of the ribs, grown outwards."""
    return ellipsoid((0, 2, -85), (139 + grow_mm, 97 + grow_mm, 250 + grow_mm))


def _lung(h: Habitus, side: int) -> Array:
    top = 134 + h.apex_mm[0 if side == _RIGHT else 1]
    return convex(
        paraboloid((side * 50, -2, top), (84, 62)),
        _cage(-3.0),
        # The lungs meet in an oblique plane, or their junction would be a bright line down every film.
        half_space((-side, 0.2 * side, 0), (side * 1.2, 50, 0)),
        half_space((0, 0, -1), (0, 0, -190)),
    )


def _dome(h: Habitus, side: int) -> Array:
    lift = h.dome_right_mm if side == _RIGHT else h.dome_left_mm
    return convex(ellipsoid((side * 62, -8, -205 + lift), (96, 108, 92)))


def _heart(h: Habitus) -> Array:
    centre = (22 + h.heart_shift_mm, -26, -92 + 0.35 * (h.dome_right_mm + h.dome_left_mm) / 2)
    return convex(ellipsoid(centre, h.heart_radii_mm, rotation(y_deg=h.heart_tilt_deg) @ rotation(z_deg=-25)))


def _tube(start: tuple[float, float, float], end: tuple[float, float, float], radius_mm: float) -> Array:
    """A straight tube with flat ends."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    length = float(np.linalg.norm(b - a))
    axes = frame_along(b - a)
    return convex(
        ellipsoid((a + b) / 2, (inf, radius_mm, radius_mm), axes), ellipsoid((a + b) / 2, (length / 2, inf, inf), axes)
    )


def _spindle(start: Array, end: Array, radius_mm: float) -> Array:
    """A long ellipsoid from `start` to `end`."""
    return convex(
        ellipsoid(
            (start + end) / 2, (float(np.linalg.norm(end - start)) / 2, radius_mm, radius_mm), frame_along(end - start)
        )
    )


def _great_vessels(h: Habitus) -> list[Array]:
    r = h.aorta_mm
    return [
        _tube((23, 36, -200), (20, 30, 40), r),  # descending aorta
        convex(
            ellipsoid((8, 4, 44), (1.75 * r + 8, 34, 1.25 * r), rotation(z_deg=35))
        ),  # arch, with its knob on the left
        convex(ellipsoid((-8, -22, 5), (1.5 * r, 1.4 * r, 46))),  # ascending aorta
        convex(ellipsoid((-20, -6, 30), (11, 11, 62))),  # superior vena cava
        convex(ellipsoid((22, -16, 2), (22, 20, 24))),  # pulmonary trunk
        convex(ellipsoid((20, -8, -30), (30, 26, 38), rotation(y_deg=25))),  # left atrium and its appendage
        convex(ellipsoid((-16, -10, -30), (22, 24, 40))),  # vena cava into the right atrium
        convex(ellipsoid((-26, -2, -4), (20, 15, 15), rotation(y_deg=-25))),  # right pulmonary artery
        convex(ellipsoid((32, 2, 2), (18, 15, 14), rotation(y_deg=25))),  # left pulmonary artery
    ]


def _airways(h: Habitus) -> list[Array]:
    carina = (1.0, 12.0, 32.0)
    return [
        _tube((0, -8, 240), carina, 8.5),
        _tube(carina, (-34, 10, 2), 6.5),
        _tube(carina, (40, 12, -2), 6.0),
    ]


def _stomach(h: Habitus) -> list[Array]:
    r = h.stomach_mm
    return [convex(ellipsoid((58, -12, -205 + h.dome_left_mm + 84 - r), (1.5 * r, r, 0.75 * r)))] if r else []


# --- bones -------------------------------------------------------------------------------------------------------


def _spine(h: Habitus) -> tuple[Array, Array, list[Part]]:
    """The column, the room for its arches behind (both push other organs aside), and all parts of the spine."""
    lean = np.array([*h.spine_lean, 1.0])
    axes = frame_along(lean)
    place = lambda z, x=0.0, y=0.0: np.array([x, 58 + y, 0]) + lean * z  # noqa: E731
    width = np.array([1.0, 0.0, 0.0])
    # Column axes: along, to the left, to the back; the last two follow the lean.
    along = axes[:, 0]
    left = width - (width @ along) * along
    left /= np.linalg.norm(left)
    axes = np.stack([along, left, np.cross(along, left)], axis=1)
    column = convex(ellipsoid(place(0), (inf, 19, 16), axes))
    paraspinal = convex(ellipsoid(place(0, y=42), (inf, 40, 27), axes))
    bone = 100 * h.bone_density
    parts = [Part("discs", column, 30.0, Label.SPINE)]
    for k in range(18):
        z = -330 + 27.5 * k
        # Waisted bodies: end plates reach the rim of the column, the middle is narrower.
        parts.append(Part("vertebra", convex(ellipsoid(place(z), (11.5, inf, inf), axes), column), bone, Label.SPINE))
        parts.append(Part("end plate", convex(ellipsoid(place(z + 10), (1.6, inf, inf), axes), column), bone))
        parts.append(Part("end plate", convex(ellipsoid(place(z - 10), (1.6, inf, inf), axes), column), bone))
        for s in (_RIGHT, _LEFT):
            pedicle = convex(ellipsoid(place(z + 4, s * 13, 22), (5, 10, 6)))
            process = convex(ellipsoid(place(z + 2, s * 24, 32), (15, 5, 5), rotation(z_deg=s * 18)))
            parts += _layer("vertebral arch", [pedicle, process], 220 * h.bone_density, Label.SPINE, (column,))
        spinous = convex(ellipsoid(place(z - 9, h.spine_bow_mm * np.sin(k), 46), (3.5, 17, 9), rotation(x_deg=20)))
        parts.append(Part("spinous process", spinous, 110 * h.bone_density, Label.SPINE))
    return column, paraspinal, parts


def _ribs(h: Habitus) -> list[Part]:
    """Twelve pairs: the shell between two ellipsoids, cut by slanting slabs — curved tubes with a flat section."""
    parts = []
    for side in (_RIGHT, _LEFT):
        normal = np.array([side * h.rib_slope, -h.rib_droop, 1.0])
        normal /= np.linalg.norm(normal)
        for k in range(12):
            back = np.array([0.0, 92.0, 150 - 25.5 * k + h.rib_offset_mm])
            slab = ellipsoid(back, (5.6 - 0.05 * k, inf, inf), frame_along(normal))
            # The bone ends where its cartilage begins: early for the floating ribs.
            reach = (58, 68, 74, 78, 80, 80, 78, 70, 56, 34, 2, -30)[k]
            front = half_space((-0.75 * side, -1.0, 0.0), (side * 25.0, -reach, 0.0))
            medial = half_space((-side, 0, 0), (side * 17.0, 0, 0))
            bone = 1500 * h.bone_density
            cortex = convex(_cage(8.0), slab, front, medial)
            parts.append(Part("rib", cortex, bone, Label.BONES, (convex(_cage(0.0)),)))
            core = ellipsoid(back, (3.9 - 0.05 * k, inf, inf), frame_along(normal))
            parts.append(
                Part("rib marrow", convex(_cage(6.0), core, front, medial), -0.7 * bone, None, (convex(_cage(2.0)),))
            )
    return parts


def _shoulder_girdle(h: Habitus) -> list[Part]:
    bone = 1000 * h.bone_density
    parts = [Part("sternum", convex(ellipsoid((0, -106, -5), (19, 6, 82))), 0.3 * bone, Label.BONES)]
    for s in (_RIGHT, _LEFT):
        inner, middle, outer = np.array([[s * 14, -58, 98], [s * 82, -52, 113], [s * 152, 8, 130]], float)
        parts += _layer(
            "clavicle",
            [
                _spindle(inner - (middle - inner) * 0.1, middle + (middle - inner) * 0.15, 6.5),
                _spindle(middle - (outer - middle) * 0.2, outer, 6.0),
            ],
            1.7 * bone,
            Label.BONES,
        )
        blade = convex(
            ellipsoid((s * 140, 80, 40), (32, 4.0, 74), rotation(z_deg=s * -35) @ rotation(y_deg=s * 10)),
        )
        parts.append(Part("scapula", blade, 0.7 * bone, Label.BONES))
        parts += _layer(
            "humerus",
            [convex(ellipsoid((s * 174, 16, 98), (24, 23, 24))), _tube((s * 178, 16, 84), (s * 290, 10, -180), 12)],
            0.6 * bone,
            Label.BONES,
        )
    return parts


# --- what fills the lungs ----------------------------------------------------------------------------------------


def _within(points: Array, solid: Array, holes: tuple[Array, ...]) -> np.ndarray:
    x, y, z = np.moveaxis(points, -1, 0)
    inside = contains(solid, x, y, z)
    for hole in holes:
        inside &= ~contains(hole, x, y, z)
    return inside


def _lung_vessels(h: Habitus, lung: Array, holes: tuple[Array, ...], side: int) -> list[Array]:
    """A branching tree from the hilum; branches that would leave the lung are not grown."""
    rng = np.random.default_rng([h.texture_seed, side + 1])
    start = np.tile([side * 38.0, 4.0, -2.0], (22, 1)) + rng.normal(scale=(2, 12, 18), size=(22, 3))
    heading = rng.normal(size=(22, 3)) * (0.5, 0.9, 1.1) + (side * 0.7, 0.0, -0.25)
    length, radius = 36.0, 3.8
    vessels: list[Array] = []
    for _ in range(4):
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        end = start + heading * length * rng.uniform(0.75, 1.25, (len(start), 1))
        # Three stations along the branch, each with room for its width.
        width = heading[:, ::-1] * (1, -1, 1) * radius
        stations = np.stack([start * 0.5 + end * 0.5, end, end + heading * radius, end + width, end - width], axis=1)
        kept = _within(stations, lung, holes).all(axis=1)
        vessels += [_spindle(a, b, radius) for a, b in zip(start[kept], end[kept], strict=True)]
        start, heading = (np.repeat(values[kept], 2, axis=0) for values in (end, heading))
        heading = heading + rng.normal(scale=0.45, size=heading.shape)
        length, radius = length * 0.85, radius * 0.70
    return vessels


def _vessel_parts(h: Habitus, trees: list[list[Array]], opacities: list[Part]) -> list[Part]:
    """The trees as disjoint parts, which end where an opacity begins, as their shadows do on films."""
    opaque = [part.solid for part in opacities]
    solids = [spindle for tree in trees for spindle in tree]
    low, high = extents(bounds(np.stack(solids))[:, 0])
    parts = []
    for k, solid in enumerate(solids):
        before = np.flatnonzero(np.all((low[:k] < high[k]) & (low[k] < high[:k]), axis=1))
        parts.append(
            Part("pulmonary vessel", solid, BLOOD_HU - h.lung_hu, None, (*opaque, *(solids[j] for j in before)))
        )
    return parts


def _opacities(h: Habitus, lung: Array, holes: tuple[Array, ...]) -> list[Part]:
    """Consolidation, effusion or nodules within one lung, whose label stays."""
    rng = np.random.default_rng([h.texture_seed, 7])
    full = -15.0 - h.lung_hu
    s = h.opacity_side
    if h.opacity == "effusion":
        height = rng.uniform(-125, -70)
        slope = np.array([-s * rng.uniform(0.15, 0.4), rng.uniform(-0.5, -0.2), 1.0])
        fluid = convex(lung, half_space(slope, (s * 70, 20, height)))
        return [Part("effusion", fluid, full, None, holes)]
    blobs: list[Part] = []
    nodules: list[Array] = []
    if h.opacity == "consolidation":
        focus = np.array([s * rng.uniform(55, 95), rng.uniform(-40, 50), rng.uniform(-110, 60)])
        count = rng.integers(4, 9)
        for _ in range(count):
            centre = focus + rng.normal(scale=(16, 18, 18))
            radii = rng.uniform(14, 34, size=3)
            turn = rotation(*rng.uniform(-90, 90, size=3))
            # Nested shells: the density falls off towards the rim.
            for share in (1.0, 0.75, 0.5):
                blob = convex(ellipsoid(centre, radii * share, turn), lung)
                blobs.append(Part("consolidation", blob, full * rng.uniform(0.3, 0.42) / count, None, holes))
    elif h.opacity == "nodules":
        for _ in range(rng.integers(1, 5)):
            centre = np.array([s * rng.uniform(45, 115), rng.uniform(-50, 60), rng.uniform(-110, 90)])
            nodules.append(convex(ellipsoid(centre, rng.uniform(6, 16) * rng.uniform(0.8, 1.2, size=3)), lung))
    return [*blobs, *_layer("nodule", nodules, full, None, holes)]
