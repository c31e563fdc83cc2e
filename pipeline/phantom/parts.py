"""What a body is made of: labelled solids that change the HU of what they hold, and how to build them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from math import inf

import numpy as np

from pipeline.phantom.quadrics import Array, convex, ellipsoid, frame_along

__all__ = ["LEFT", "RIGHT", "SIDES", "Label", "Part", "layer", "spindle", "tube"]

# Signs of x.
RIGHT, LEFT = -1, 1
SIDES = (RIGHT, LEFT)

AIR_HU, SKIN_HU, FAT_HU, MUSCLE_HU, BLOOD_HU = -1000.0, 20.0, -105.0, 50.0, 42.0


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


def layer(
    name: str, solids: Iterable[Array], hu_change: float, label: Label | None = None, holes: tuple[Array, ...] = ()
) -> list[Part]:
    """A union of convexes as disjoint parts: each without the ones before it."""
    solids = list(solids)
    return [Part(name, solid, hu_change, label, (*holes, *solids[:k])) for k, solid in enumerate(solids)]


def tube(start: tuple[float, float, float], end: tuple[float, float, float], radius_mm: float) -> Array:
    """A straight tube with flat ends."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    length = float(np.linalg.norm(b - a))
    axes = frame_along(b - a)
    return convex(
        ellipsoid((a + b) / 2, (inf, radius_mm, radius_mm), axes), ellipsoid((a + b) / 2, (length / 2, inf, inf), axes)
    )


def spindle(start: Array, end: Array, radius_mm: float) -> Array:
    """A long ellipsoid from `start` to `end`."""
    return convex(
        ellipsoid(
            (start + end) / 2, (float(np.linalg.norm(end - start)) / 2, radius_mm, radius_mm), frame_along(end - start)
        )
    )
