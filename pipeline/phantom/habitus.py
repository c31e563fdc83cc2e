"""What differs from one phantom to the next: the random part of the thorax, drawn in one place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["OPACITIES", "Habitus", "draw_habitus"]

# Kinds of opacity, and how often each is drawn. The lung mask is the same with and without one.
OPACITIES = {"none": 0.60, "consolidation": 0.18, "effusion": 0.12, "nodules": 0.10}


@dataclass(frozen=True)
class Habitus:
    """Build of one phantom. Lengths in mm, angles in degrees, "right" and "left" the phantom's own.

    The lengths below are those of a body of average build; `scale` (x, y, z) multiplies all positions.
    """

    scale: tuple[float, float, float]
    skin_mm: float
    fat_mm: float
    muscle_mm: float  # between ribs and fat
    breast_mm: float  # 0: none
    dome_right_mm: float  # height of the diaphragm's dome above its resting place
    dome_left_mm: float
    apex_mm: tuple[float, float]  # extra height of the right and left apex
    heart_radii_mm: tuple[float, float, float]
    heart_shift_mm: float
    heart_tilt_deg: float
    aorta_mm: float
    mediastinum_mm: float
    spine_lean: tuple[float, float]  # mm to the left and to the back for each mm upwards
    spine_bow_mm: float
    rib_slope: float
    rib_droop: float
    rib_offset_mm: float
    bone_density: float
    lung_hu: float
    stomach_mm: float  # radius of the air bubble; 0: none
    opacity: str
    opacity_side: int  # +1 left, -1 right
    texture_seed: int  # of the vessels, and of the places of the opacities


def draw_habitus(rng: np.random.Generator) -> Habitus:
    """Draw one build."""
    size = rng.normal(1.0, 0.05)
    width, depth, height = size * np.clip(rng.normal(1.0, 0.04, size=3), 0.9, 1.1)
    heart = rng.normal(1.0, 0.09)
    dome = rng.normal(0.0, 10.0)
    return Habitus(
        scale=(float(width), float(depth), float(height)),
        skin_mm=rng.uniform(1.8, 2.8),
        fat_mm=rng.gamma(4.0, 3.5) + 4.0,
        muscle_mm=rng.uniform(8.0, 16.0),
        breast_mm=rng.uniform(35.0, 55.0) if rng.random() < 0.45 else 0.0,
        dome_right_mm=dome + rng.normal(0.0, 4.0),
        dome_left_mm=dome + rng.normal(-8.0, 5.0),
        apex_mm=(rng.normal(0.0, 6.0), rng.normal(0.0, 6.0)),
        heart_radii_mm=(68.0 * heart, 46.0 * heart, 58.0 * heart * rng.uniform(0.92, 1.06)),
        heart_shift_mm=rng.normal(0.0, 5.0),
        heart_tilt_deg=rng.uniform(18.0, 42.0),
        aorta_mm=rng.uniform(11.0, 16.0),
        mediastinum_mm=rng.uniform(23.0, 31.0),
        spine_lean=(rng.normal(0.0, 0.015), rng.uniform(-0.08, -0.03)),
        spine_bow_mm=rng.normal(0.0, 3.0),
        rib_slope=rng.uniform(0.28, 0.40),
        rib_droop=rng.uniform(0.50, 0.75),
        rib_offset_mm=rng.uniform(-10.0, 10.0),
        bone_density=rng.uniform(0.75, 1.2),
        lung_hu=rng.uniform(-880.0, -790.0),
        stomach_mm=rng.uniform(14.0, 28.0) if rng.random() < 0.6 else 0.0,
        opacity=str(rng.choice(list(OPACITIES), p=list(OPACITIES.values()))),
        opacity_side=int(rng.choice([-1, 1])),
        texture_seed=int(rng.integers(2**31)),
    )
