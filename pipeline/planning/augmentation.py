"""Random changes in training: what may differ between the pictures at hand and those to come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.labels import has_sides
from pipeline.planning.choice import Step
from pipeline.planning.scale import Scale

__all__ = ["Augmentation", "choose_augmentation"]

FILMS = ("CR", "DX", "RG", "RF", "PX", "MG")
# Slides and material: there is no top. A photograph, a film or a slice has one.
WITHOUT_TOP = ("SM", "OT", "GM", "XM")
# Slices of a patient who has a front, whose sizes and axes tell where they were cut. Changes as wide as these, in most
# pictures, are learnt slowly: of 16 training slices, 37 epochs with them gave lungs of 0.935 to 0.989 and a heart of
# 0.791 on the test slices, half as many with smaller and fewer changes 0.924 to 0.989 and 0.811.
SLICED = ("CT", "MR")
# Classes that painted opacities, and drawn wires and plates, would look like.
DISEASE = (
    "opacit", "infect", "consolid", "infiltrat", "effusion", "pneumon", "covid", "lesion", "nodule", "tumo", "mass",
    "cancer", "tubercul", "disease", "abnormal", "patholog", "oedema", "edema", "atelectas", "fibros",
)  # fmt: skip
DEVICES = ("tube", "cathet", "wire", "device", "pacemaker", "electrode", "implant", "clip", "line", "lead", "marker")
# Share by which the long axis must exceed the short one to have a direction.
ELONGATED = 0.15
MASKED: dict[str, Any] = {"mode": "nearest"}


@dataclass(frozen=True)
class Augmentation:
    """The random transforms and what goes with them at test time.

    Attributes:
        steps: In order, z-score not included.
        flips: Axes of the flips that are averaged at test time, one list a pass.
        why_flips: Why those.
    """

    steps: tuple[Step, ...]
    flips: tuple[tuple[int, ...], ...]
    why_flips: str


def choose_augmentation(
    fingerprint: Mapping[str, Any],
    labels: Sequence[str],
    scale: Scale,
    orientation: str | None,
    sides: bool | None,
    emptied: Mapping[str, float] | None = None,
) -> Augmentation:
    """Ranges from the fingerprint, kinds from the modality.

    Args:
        fingerprint: Of the data.
        labels: Class names, background first.
        scale: Size of the network's input.
        orientation: "upright" or "any"; None lets the modality say it.
        sides: Whether a class is a left or a right one; None lets the names say it.
        emptied: Class → share of the pictures in which it is filled with tissue.
    """
    modality = fingerprint["modality"]
    free = orientation == "any" or (orientation is None and modality in WITHOUT_TOP)
    sliced = modality in SLICED and not free
    flips, why_flips, flip_steps = _flips(free, has_sides(labels) if sides is None else sides)
    return Augmentation(
        (
            *_without(labels, emptied or {}),
            *(_film_content(labels) if modality in FILMS and not _named(labels, DISEASE) else ()),
            *_intensity(fingerprint, modality, sliced),
            *(_devices() if modality in FILMS and not _named(labels, DEVICES) else ()),
            *flip_steps,
            *_shape(fingerprint, modality, scale, free, sliced),
            *(_collimation() if modality in FILMS else ()),
            *_sharpness_and_noise(modality, sliced),
        ),
        flips,
        why_flips,
    )


def _named(labels: Sequence[str], words: Sequence[str]) -> bool:
    """Whether a class has one of some words in its name: what is drawn into pictures must not look like one."""
    return any(word in name.lower() for name in labels[1:] for word in words)


def _flips(free: bool, sides: bool) -> tuple[tuple[tuple[int, ...], ...], str, tuple[Step, ...]]:
    if sides:
        return ((),), "no flips: a class is a left or a right one, and mirrored it would carry the other's label", ()
    mirrored = Step(
        "RandFlipd",
        {},
        {},
        {"prob": 0.5, "spatial_axis": 0},
        why="Left and right may change places: no class is one.",
    )
    if not free:
        why = "picture and mirror image are averaged (axis 0 is left/right, there is a top); [[]] takes half the time"
        return ((), (0,)), why, (mirrored,)
    turned = (
        Step("RandFlipd", {}, {}, {"prob": 0.5, "spatial_axis": 0}, why="These pictures have neither top nor sides."),
        Step("RandFlipd", {}, {}, {"prob": 0.5, "spatial_axis": 1}),
        Step("RandRotate90d", {}, {}, {"prob": 0.5, "max_k": 3}),
    )
    why = "the picture and its three mirror images are averaged: it has no top; [[]] takes a quarter of the time"
    return ((), (0,), (1,), (0, 1)), why, turned


def _without(labels: Sequence[str], emptied: Mapping[str, float]) -> tuple[Step, ...]:
    return tuple(
        Step(
            "pipeline.transforms.RandEmptiedd",
            {"mask_key": "label", "classes": [list(labels).index(name)], "prob": share},
            why=f"The task says so: these pictures hardly lack {name}, and those to come may.",
        )
        for name, share in emptied.items()
    )


def _film_content(labels: Sequence[str]) -> tuple[Step, ...]:
    lungs = [number for number, name in enumerate(labels) if number and "lung" in name.lower()]
    if not lungs:
        return ()
    return (
        Step(
            "pipeline.transforms.RandLungOpacityd",
            {"mask_key": "label", "prob": 0.6, "strength": [0.4, 1.3], "lung_classes": lungs},
            why="Wide on purpose: one hospital's films must teach what lungs look like at the next, opaque ones too.",
        ),
    )


def _intensity(fingerprint: Mapping[str, Any], modality: str, sliced: bool) -> tuple[Step, ...]:
    pooled = fingerprint["intensity"]["all"]
    means = fingerprint["intensity"]["between_cases"]["mean"]
    spread = (means["p95"] - means["p05"]) / pooled["std"] if pooled["std"] else 0.0
    if modality in FILMS:
        return (
            Step("pipeline.transforms.RandExposureFieldd", {"prob": 0.5}),
            Step("pipeline.transforms.RandLocalContrastd", {"prob": 0.3}),
            Step("RandAdjustContrastd", {"prob": 0.35, "gamma": [0.45, 1.0]}, why="Exposure and each maker's curve."),
            Step("RandAdjustContrastd", {"prob": 0.35, "gamma": [1.0, 2.2]}),
            Step("RandHistogramShiftd", {"prob": 0.2, "num_control_points": [5, 10]}),
        )
    if modality == "CT" and pooled["p00_5"] < -500:
        return (
            Step("RandScaleIntensityd", {"prob": 0.3, "factors": 0.1}, why="Hounsfield units drift little."),
            Step("RandShiftIntensityd", {"prob": 0.3, "offsets": 0.05}),
            Step("RandAdjustContrastd", {"prob": 0.2, "gamma": [0.8, 1.25]}),
        )
    gamma = math.exp(min(0.8, 0.3 + 0.5 * spread))
    why = f"The pictures' means spread over {spread:.2g} of the pooled deviation."
    often = 0.15 if sliced else 0.3
    steps = (
        Step("RandAdjustContrastd", {"prob": often, "gamma": [float(format(1 / gamma, ".2f")), 1.0]}, why=why),
        Step("RandAdjustContrastd", {"prob": often, "gamma": [1.0, float(format(gamma, ".2f"))]}),
        Step("pipeline.transforms.RandExposureFieldd", {"prob": often}),
    )
    if fingerprint["channels"] == 3:
        return (
            *steps,
            Step(
                "RandScaleIntensityd",
                {"prob": 0.4, "factors": 0.15, "channel_wise": True},
                why="Lamp, camera and stain colour the picture.",
            ),
            Step("RandShiftIntensityd", {"prob": 0.3, "offsets": 0.08, "channel_wise": True}),
        )
    return (*steps, Step("RandHistogramShiftd", {"prob": 0.2, "num_control_points": [5, 10]}))


def _devices() -> tuple[Step, ...]:
    return (Step("pipeline.transforms.RandDevicesd", {"prob": 0.4}, why="Pacemakers, tubes, markers, burnt-in text."),)


def _collimation() -> tuple[Step, ...]:
    shared = {"mask_key": "label", "prob": 0.3}
    return (Step("pipeline.transforms.RandCollimationd", shared, why="Borders; the mask ends where the film does."),)


def _shape(fingerprint: Mapping[str, Any], modality: str, scale: Scale, free: bool, sliced: bool) -> tuple[Step, ...]:
    ranges = fingerprint["shape_ranges"]
    film = modality in FILMS
    # The main axis of something round points anywhere and says nothing of how pictures are turned.
    long_enough = ranges["elongation"]["median"] >= ELONGATED
    measured = 3 * ranges["orientation_std_deg"] if long_enough else 0.0
    turn = math.radians(max(20.0 if film or free else 15.0, min(45.0, measured)))
    if scale.mode == "patch":
        turn = math.radians(30.0)
    zoom = min(0.5, max(0.35 if film else 0.22, 2.5 * ranges["scale_std_log"]))
    if sliced:
        turn, zoom = math.radians(15.0), 0.22
    shift = [round(0.1 * side) for side in scale.size]
    elastic = max(20, min(60, round(0.1875 * max(scale.size))))
    zoomed = [float(format(math.exp(-zoom), ".2f")), float(format(math.exp(zoom), ".2f"))]
    padding = {"padding_mode": "constant"} if scale.mode != "patch" else {"padding_mode": "reflect"}
    outside = {"padding_mode": "zeros"} if scale.mode != "patch" else {"padding_mode": "reflection"}
    return (
        Step(
            "RandZoomd",
            {"mode": "bilinear"},
            MASKED,
            {
                "prob": 0.7 if film else 0.2 if sliced else 0.4,
                "min_zoom": zoomed[0],
                "max_zoom": zoomed[1],
                **padding,
            },
            why=f"Sizes here differ by a factor of e^{ranges['scale_std_log']:.2g} (one deviation)"
            + (
                ", by where the slices were cut more than by whose they are."
                if sliced
                else f", axes by {ranges['orientation_std_deg']:.0f}°."
                if long_enough
                else "; they are too round to have an axis."
            ),
        ),
        Step(
            "RandAffined",
            {"mode": "bilinear"},
            MASKED,
            {
                "prob": 0.9 if film else 0.3 if sliced else 0.7,
                "rotate_range": float(format(turn, ".2f")),
                "scale_range": [0.15, 0.15],
                "shear_range": [0.1, 0.1],
                "translate_range": shift,
                **outside,
            },
        ),
        Step(
            "Rand2DElasticd",
            {"mode": "bilinear"},
            MASKED,
            {
                "prob": 0.2,
                "spacing": [elastic, elastic],
                "magnitude_range": [1, max(2, round(elastic / 8.5))],
                **outside,
            },
        ),
    )


def _sharpness_and_noise(modality: str, sliced: bool) -> tuple[Step, ...]:
    noise = 0.06 if modality in (*FILMS, *WITHOUT_TOP) else 0.04
    return (
        Step("RandGaussianSmoothd", {"prob": 0.15, "sigma_x": [0.3, 1.5], "sigma_y": [0.3, 1.5]}),
        Step("RandGaussianSharpend", {"prob": 0.15}),
        Step("RandGaussianNoised", {"prob": 0.15 if sliced else 0.3, "std": noise}),
    )
