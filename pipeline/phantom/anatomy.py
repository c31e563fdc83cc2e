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
    sides = (RIGHT, LEFT)
    column, paraspinal, bones_of_the_spine = spine(h)
    domes = {side: dome(h, side) for side in sides}
    vessels = great_vessels(h)
    heart = heart(h)
    middle = convex(ellipsoid((0, 0, 0), (h.mediastinum_mm, 46, inf)), ellipsoid((0, 0, 0), (inf, inf, 150)))
    airways = airways()
    lungs = {side: lung(h, side) for side in sides}
    lung_holes = (heart, middle, column, paraspinal, *vessels, *airways, *domes.values())
    opacities = opacities(h, lungs[h.opacity_side], lung_holes)
    gas = stomach_gas(h)

    parts = [
        *layer("skin", envelope(h, 0.0), SKIN_HU - AIR_HU, Label.BODY),
        *layer("fat", envelope(h, h.skin_mm), FAT_HU - SKIN_HU),
        *layer("muscle", muscle(h), MUSCLE_HU - FAT_HU),
        *(Part("liver" if s == RIGHT else "spleen", domes[s], 10.0, Label.ABDOMEN) for s in sides),
        *(Part("stomach gas", bubble, -1000.0, Label.ABDOMEN) for bubble in gas),
        Part("mediastinal fat", middle, -80.0, Label.MEDIASTINUM, (heart, column, *vessels, *airways, *domes.values())),
        *layer(
            "great vessel", vessels, BLOOD_HU - MUSCLE_HU, Label.MEDIASTINUM, (heart, column, *airways, *domes.values())
        ),
        Part("heart", heart, BLOOD_HU - MUSCLE_HU, Label.HEART, (column, *domes.values())),
        *(Part("lung", lungs[s], h.lung_hu - MUSCLE_HU, lung_label(s), lung_holes) for s in sides),
        *(part for s in sides for part in lung_vessels(h, lungs[s], lung_holes, s, opacities)),
        *opacities,
        *layer("airway", airways, AIR_HU - MUSCLE_HU, Label.TRACHEA),
        *bones_of_the_spine,
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


def lung_label(side: int) -> Label:
    return Label.RIGHT_LUNG if side == RIGHT else Label.LEFT_LUNG
