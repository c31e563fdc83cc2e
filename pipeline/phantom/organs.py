"""The organs within the cage, as convexes."""

from __future__ import annotations

from pipeline.phantom.habitus import Habitus
from pipeline.phantom.parts import RIGHT, tube
from pipeline.phantom.quadrics import Array, convex, ellipsoid, half_space, paraboloid, rotation
from pipeline.phantom.wall import cage

__all__ = ["airways", "dome", "great_vessels", "heart", "lung", "stomach_gas"]

_DOME_MM = -205.0  # centre of a resting diaphragm's dome


def lung(h: Habitus, side: int) -> Array:
    """One lung as it would be without heart, mediastinum, spine and diaphragm, which are cut out of it."""
    top = 134 + h.apex_mm[0 if side == RIGHT else 1]
    return convex(
        paraboloid((side * 50, -2, top), (84, 62)),
        cage(-3.0),
        # The lungs meet in an oblique plane, or their junction would be a bright line down every film.
        half_space((-side, 0.2 * side, 0), (side * 1.2, 50, 0)),
        half_space((0, 0, -1), (0, 0, -190)),
    )


def dome(h: Habitus, side: int) -> Array:
    """What lies under one half of the diaphragm: liver, or spleen and stomach."""
    lift = h.dome_right_mm if side == RIGHT else h.dome_left_mm
    return convex(ellipsoid((side * 62, -8, _DOME_MM + lift), (96, 108, 92)), cage(0.0))


def heart(h: Habitus) -> Array:
    """The heart, its apex to the left, forwards and down."""
    centre = (22 + h.heart_shift_mm, -26, -92 + 0.35 * (h.dome_right_mm + h.dome_left_mm) / 2)
    return convex(ellipsoid(centre, h.heart_radii_mm, rotation(y_deg=h.heart_tilt_deg) @ rotation(z_deg=-25)))


def great_vessels(h: Habitus) -> list[Array]:
    """Aorta, pulmonary arteries and vena cava; they overlap."""
    r = h.aorta_mm
    return [
        tube((23, 36, -200), (20, 30, 40), r),  # descending aorta
        convex(ellipsoid((8, 4, 44), (1.75 * r + 8, 34, 1.25 * r), rotation(z_deg=35))),  # arch, its knob on the left
        convex(ellipsoid((-8, -22, 5), (1.5 * r, 1.4 * r, 46))),  # ascending aorta
        convex(ellipsoid((-20, -6, 30), (11, 11, 62))),  # superior vena cava
        convex(ellipsoid((22, -16, 2), (22, 20, 24))),  # pulmonary trunk
        convex(ellipsoid((20, -8, -30), (30, 26, 38), rotation(y_deg=25))),  # left atrium and its appendage
        convex(ellipsoid((-16, -10, -30), (22, 24, 40))),  # vena cava into the right atrium
        convex(ellipsoid((-26, -2, -4), (20, 15, 15), rotation(y_deg=-25))),  # right pulmonary artery
        convex(ellipsoid((32, 2, 2), (18, 15, 14), rotation(y_deg=25))),  # left pulmonary artery
    ]


def airways() -> list[Array]:
    """Trachea and both main bronchi."""
    carina = (1.0, 12.0, 32.0)
    return [
        tube((0, -8, 240), carina, 8.5),
        tube(carina, (-34, 10, 2), 6.5),
        tube(carina, (40, 12, -2), 6.0),
    ]


def stomach_gas(h: Habitus) -> list[Array]:
    """The bubble under the left dome, in those who have one."""
    r = h.stomach_mm
    return [convex(ellipsoid((58, -12, _DOME_MM + h.dome_left_mm + 84 - r), (1.5 * r, r, 0.75 * r)))] if r else []
