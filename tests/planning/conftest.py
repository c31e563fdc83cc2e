"""A fingerprint to plan from, which a test changes as it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Document = dict[str, Any]


def spread(value: float, share: float = 0.05) -> Document:
    low, high = value * (1 - share), value * (1 + share)
    return {"min": low, "p05": low, "median": value, "mean": value, "p95": high, "max": high}


def a_class(area: float, diameter: float, objects: float, longest: float, pixel_share: float) -> Document:
    return {
        "cases": 90,
        "pixel_share": pixel_share,
        "area_share": spread(pixel_share),
        "area_px": spread(area),
        "objects": spread(objects),
        "object_area_px": spread(area / objects),
        "object_diameter_px": spread(diameter),
        "object_diameter_share": spread(diameter / longest),
        "largest_share": spread(1 / objects),
        "holes_share": spread(0.0),
        "touches_border": 0.0,
        "centroid": {"x_mean": 0.5, "x_std": 0.05, "y_mean": 0.5, "y_std": 0.05},
        "boundary_px": spread(3.6 * diameter * objects),
    }


def values(median: float, deviation: float) -> Document:
    names = ("min", "p00_5", "p05", "p25", "median", "p75", "p95", "p99_5", "max")
    steps = (-3, -2.6, -1.6, -0.7, 0, 0.7, 1.6, 2.6, 3)
    numbers = {name: median + step * deviation for name, step in zip(names, steps, strict=True)}
    return {**numbers, "mean": median, "std": deviation}


@pytest.fixture
def fingerprint() -> Callable[..., Document]:
    """Chest films of 512², unless told otherwise."""

    def make(
        *,
        labels: tuple[str, ...] = ("background", "lung"),
        modality: str = "CR",
        channels: int = 1,
        width: float = 512,
        height: float = 512,
        varied: float = 0.0,
        cases: tuple[int, int, int] = (80, 10, 20),
        spacing: float | None = None,
        intensity: tuple[float, float] = (120, 50),
        inside: tuple[float, float] = (80, 30),
        classes: dict[str, Document] | None = None,
    ) -> Document:
        longest = max(width, height)
        if classes is None:
            share = 0.24 / (len(labels) - 1)
            area = share * width * height
            classes = {name: a_class(area, (1.27 * area / 2) ** 0.5, 2, longest, share) for name in labels[1:]}
        parts = dict(zip(("training", "validation", "test"), cases, strict=True))
        known = sum(cases[:2]) if spacing else 0
        pooled = values(*intensity)
        return {
            "format": "planar-fingerprint/1",
            "name": "a set",
            "labels": {str(k): name for k, name in enumerate(labels)},
            "modality": modality,
            "channels": channels,
            "cases": parts,
            "subjects": parts,
            "size": {
                "width": spread(width, varied),
                "height": spread(height, varied),
                "longest": spread(longest, varied),
                "aspect": spread(height / width, varied),
                "shapes": [[int(width), int(height), sum(cases)]],
            },
            "spacing_mm": {
                "known": known,
                "x": spread(spacing) if spacing else None,
                "y": spread(spacing) if spacing else None,
            },
            "stored": {"dtypes": {"uint8": sum(cases)}, "formats": {"PNG": sum(cases)}, "colour": 0, "grey_as_rgb": 0},
            "intensity": {
                "all": pooled,
                "inside": values(*inside),
                "outside": pooled,
                "by_class": {name: values(*inside) for name in labels[1:]},
                "by_channel": [pooled] * channels,
                "between_cases": {
                    "mean": spread(intensity[0]),
                    "std": spread(intensity[1]),
                    "p00_5": spread(1.0),
                    "p99_5": spread(250.0),
                },
                "contrast": 0.8,
                "saturated_low": 0.0,
                "saturated_high": 0.0,
            },
            "classes": classes,
            "shape_ranges": {
                "orientation_std_deg": 5.0,
                "elongation": spread(0.3),
                "scale_std_log": 0.1,
                "position_std": [0.03, 0.03],
            },
            "inside_class": [],
            "near_duplicates": [],
            "near_duplicates_within": 0,
            "refused": {},
            "warnings": {},
        }

    return make


@pytest.fixture
def class_of() -> Callable[..., Document]:
    """Measures of one class: area and diameter in pixels, number of objects, longest side, share of all pixels."""
    return a_class
