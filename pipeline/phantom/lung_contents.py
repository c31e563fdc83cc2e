"""What fills the lungs: vessels, and in some phantoms an opacity."""

from __future__ import annotations

import numpy as np

from pipeline.phantom.habitus import Habitus
from pipeline.phantom.parts import BLOOD_HU, Part, layer, spindle
from pipeline.phantom.quadrics import Array, bounds, contains, convex, ellipsoid, extents, half_space, rotation

__all__ = ["lung_vessels", "opacities"]


def lung_vessels(h: Habitus, lung: Array, holes: tuple[Array, ...], side: int, opacities: list[Part]) -> list[Part]:
    """A branching tree from the hilum, as disjoint parts within the lung.

    Vessels end where an opacity begins, as their shadows do on films.
    """
    rng = np.random.default_rng([h.texture_seed, side + 1])
    start = rng.normal((side * 38.0, 4.0, -2.0), (2, 12, 18), size=(22, 3))
    heading = rng.normal((side * 0.7, 0.0, -0.25), (0.5, 0.9, 1.1), size=(22, 3))
    length, radius = 36.0, 3.8
    solids: list[Array] = []
    surface: list[Array] = []
    for _ in range(4):
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        end = start + heading * length * rng.uniform(0.75, 1.25, (len(start), 1))
        kept = contains(lung, *end.T) & ~np.any([contains(hole, *end.T) for hole in holes], axis=0)
        start, end, heading = start[kept], end[kept], heading[kept]
        solids += [spindle(a, b, radius) for a, b in zip(start, end, strict=True)]
        surface.append(_spindle_surface(start, end, radius))
        start, heading = np.repeat(end, 2, axis=0), np.repeat(heading, 2, axis=0)
        heading = heading + rng.normal(scale=0.45, size=heading.shape)
        length, radius = length * 0.85, radius * 0.70
    x, y, z = np.moveaxis(np.concatenate(surface), -1, 0)
    leaves = np.any(~contains(lung, x, y, z), axis=1)
    cutters = [*holes, *(part.solid for part in opacities)]
    cut = [np.any(contains(cutter, x, y, z), axis=1) for cutter in cutters]
    low, high = extents(bounds(np.stack(solids))[:, 0])
    parts = []
    for k, solid in enumerate(solids):
        earlier = np.flatnonzero(np.all((low[:k] < high[k]) & (low[k] < high[:k]), axis=1))
        cuts = [cutter for cutter, meets in zip(cutters, cut, strict=True) if meets[k]]
        inside = convex(solid, lung) if leaves[k] else solid
        parts.append(
            Part("pulmonary vessel", inside, BLOOD_HU - h.lung_hu, None, (*cuts, *(solids[n] for n in earlier)))
        )
    return parts


def _spindle_surface(start: Array, end: Array, radius_mm: float) -> Array:
    """Points on the surface of spindles (n, 3), to see what they touch; shape (n, 22, 3)."""
    along = end - start
    across = np.cross(along, (0.3, 0.8, 0.5))
    across *= radius_mm / np.linalg.norm(across, axis=1, keepdims=True)
    other = np.cross(along / np.linalg.norm(along, axis=1, keepdims=True), across)
    polar, turn = np.meshgrid(np.linspace(0, np.pi, 7)[1:-1], np.linspace(0, 1.5 * np.pi, 4))
    weights = np.stack([np.cos(polar) / 2, np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn)], axis=-1)
    weights = np.concatenate([weights.reshape(-1, 3), [[0.5, 0, 0], [-0.5, 0, 0]]])
    middle = (start + end)[:, None] / 2
    points: Array = middle + weights @ np.stack([along, across, other], axis=1)
    return points


def opacities(h: Habitus, lung: Array, holes: tuple[Array, ...]) -> list[Part]:
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
    return [*blobs, *layer("nodule", nodules, full, None, holes)]
