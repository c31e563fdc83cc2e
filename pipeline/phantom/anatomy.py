"""The thorax: which organ lies where, in patient millimetres (LPS), and which gives way to which.

x points to the phantom's left, y to its back, z to its head; the origin lies between the lungs, about 5 cm below the
carina. Numbers are those of an adult; none is a measurement.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np

from pipeline.phantom.habitus import Habitus
from pipeline.phantom.lung_contents import lung_vessels, opacities
from pipeline.phantom.organs import airways, dome, great_vessels, heart, lung, stomach_gas
from pipeline.phantom.parts import (
    AIR_HU,
    BLOOD_HU,
    FAT_HU,
    MUSCLE_HU,
    RIGHT,
    SIDES,
    SKIN_HU,
    Label,
    Part,
    layer,
)
from pipeline.phantom.quadrics import convex, ellipsoid
from pipeline.phantom.skeleton import ribs, shoulder_girdle, spine
from pipeline.phantom.wall import envelope, muscle

__all__ = ["build_parts"]


def build_parts(habitus: Habitus) -> tuple[Part, ...]:
    """All parts of one thorax, from the skin inwards."""
    h = habitus
    column, paraspinal, vertebrae = spine(h)
    pump = heart(h)
    vessels, tubes = great_vessels(h), airways()
    right_dome, left_dome = domes = tuple(dome(h, side) for side in SIDES)
    middle = convex(ellipsoid((0, 0, 0), (h.mediastinum_mm, 46, inf)), ellipsoid((0, 0, 0), (inf, inf, 150)))
    right_lung, left_lung = lungs = tuple(lung(h, side) for side in SIDES)
    lung_holes = (pump, middle, column, paraspinal, *vessels, *tubes, *domes)
    disease = opacities(h, right_lung if h.opacity_side == RIGHT else left_lung, lung_holes)

    parts = [
        *layer("skin", envelope(h, 0.0), SKIN_HU - AIR_HU, Label.BODY),
        *layer("fat", envelope(h, h.skin_mm), FAT_HU - SKIN_HU),
        *layer("muscle", muscle(h), MUSCLE_HU - FAT_HU),
        Part("liver", right_dome, 10.0, Label.ABDOMEN),
        Part("spleen and stomach", left_dome, 10.0, Label.ABDOMEN),
        *layer("stomach gas", stomach_gas(h), -1000.0, Label.ABDOMEN),
        Part("mediastinal fat", middle, -80.0, Label.MEDIASTINUM, (pump, column, *vessels, *tubes, *domes)),
        *layer("great vessel", vessels, BLOOD_HU - MUSCLE_HU, Label.MEDIASTINUM, (pump, column, *tubes, *domes)),
        Part("heart", pump, BLOOD_HU - MUSCLE_HU, Label.HEART, (column, *domes)),
        Part("right lung", right_lung, h.lung_hu - MUSCLE_HU, Label.RIGHT_LUNG, lung_holes),
        Part("left lung", left_lung, h.lung_hu - MUSCLE_HU, Label.LEFT_LUNG, lung_holes),
        *(
            part
            for side, solid in zip(SIDES, lungs, strict=True)
            for part in lung_vessels(h, solid, lung_holes, side, disease)
        ),
        *disease,
        *layer("airway", tubes, AIR_HU - MUSCLE_HU, Label.TRACHEA),
        *vertebrae,
        *ribs(h),
        *shoulder_girdle(h),
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
