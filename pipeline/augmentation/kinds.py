"""Which step stands for which transform.

A transform that is not known here, or has an option that is not, is applied case by case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform

from pipeline.augmentation import blurring, drawing, films, intensity
from pipeline.augmentation.drawing import Draw, Shape
from pipeline.augmentation.steps import WARPS, Batch, CaseByCase, Changed, Step, Warped
from pipeline.augmentation.subsets import chosen, on_device, per_case
from pipeline.transforms.whole_picture import normalised_as

__all__ = ["steps_for"]

# How MONAI's transforms call what lies outside a picture, and how grid_sample does.
PADDING = {"constant": "zeros", "zeros": "zeros", "edge": "border", "border": "border", "reflect": "reflection",
           "reflection": "reflection"}  # fmt: skip


def steps_for(transforms: Sequence[Callable[..., Any]]) -> list[Step]:
    """The steps of an augmentation; changes of shape that follow one another become one.

    Args:
        transforms: MONAI's dictionary transforms and ours, in order.
    """
    steps: list[Step] = []
    run: list[MapTransform] = []
    for transform in transforms:
        if run and (not _is_warp(transform) or not _go_together(run, transform)):
            steps.append(_warped(run))
            run = []
        if _is_warp(transform):
            run.append(transform)
        else:
            steps.append(_step_for(transform))
    return [*steps, _warped(run)] if run else steps


def _step_for(transform: Any) -> Step:
    make = STEPS.get(_name_of(transform))
    return make(transform) if make is not None and _is_usual(transform) else CaseByCase(transform)


def _name_of(transform: Any) -> str:
    """The class, by its own name and no parent's, where it is MONAI's or ours."""
    kind = type(transform)
    return kind.__name__ if kind.__module__.startswith(("monai.", "pipeline.")) else ""


def _is_usual(transform: Any) -> bool:
    """Whether a transform has none of the options that are left to MONAI."""
    adjuster, normaliser = (getattr(transform, name, None) for name in ("adjuster", "normalizer"))
    unusual = [
        *(getattr(adjuster, name, False) for name in ("invert_image", "retain_stats")),
        *(getattr(normaliser, name, None) is not None for name in ("subtrahend", "divisor")),
        getattr(normaliser, "nonzero", False),
        any(getattr(transform, "factor_key", ())),
    ]
    return not any(unusual)


# Changes of shape


def _is_warp(transform: Any) -> bool:
    if _name_of(transform) not in WARPS or getattr(transform, "lazy", False):
        return False
    zoom = getattr(transform, "rand_zoom", None)
    resizing = [getattr(transform, name, None) for name in ("rand_affine", "rand_2d_elastic")]
    unusual = [
        not getattr(zoom, "keep_size", True),
        bool(getattr(zoom, "kwargs", {})),
        any(getattr(transform, "align_corners", ())),
        any(getattr(one, "spatial_size", None) is not None for one in resizing),
        not {str(mode) for mode in getattr(transform, "mode", ())} <= {"bilinear", "nearest"},
        len(_paddings(transform)) > 1 or not _paddings(transform) <= {"zeros", "border", "reflection"},
    ]
    return not any(unusual)


def _paddings(transform: Any) -> set[str]:
    return {PADDING.get(str(mode), str(mode)) for mode in getattr(transform, "padding_mode", ())}


def _modes(transform: Any) -> dict[str, str]:
    modes = getattr(transform, "mode", None) or [""] * len(transform.keys)
    return {str(key): str(mode) for key, mode in zip(transform.keys, modes, strict=True)}


def _go_together(run: Sequence[Any], transform: Any) -> bool:
    """Whether a change of shape can be part of the resampling of those before it."""
    if _name_of(run[-1]) == "Rand2DElasticd" or set(run[0].keys) != set(transform.keys):
        return False
    paddings = set().union(*map(_paddings, run), _paddings(transform))
    known: dict[str, set[str]] = {}
    for one in (*run, transform):
        for key, mode in _modes(one).items():
            known.setdefault(key, set()).update([mode] if mode else [])
    return len(paddings) <= 1 and all(len(modes) <= 1 for modes in known.values())


def _warped(run: Sequence[Any]) -> Warped:
    """One step of several; flips and quarter turns alone move pixels and interpolate nothing."""
    modes: dict[str, str] = {}
    for one in run:
        modes |= {key: mode for key, mode in _modes(one).items() if mode or key not in modes}
    padding = next(iter(set().union(*map(_paddings, run))), "zeros")
    return Warped(
        tuple((one, WARPS[_name_of(one)]) for one in run),
        {key: mode or "nearest" for key, mode in modes.items()},
        padding,
    )


# Changes of the grey values


def _gamma(transform: Any) -> Step:
    return Changed(
        transform, drawing.draw_gamma, lambda some, drawn: intensity.gamma_changed(some, per_case(drawn, some))
    )


def _scale(transform: Any) -> Step:
    return Changed(
        transform, drawing.draw_factors("factor"), lambda some, drawn: intensity.scaled(some, _by_channel(drawn, some))
    )


def _shift(transform: Any) -> Step:
    return Changed(
        transform,
        drawing.draw_factors("_offset"),
        lambda some, drawn: intensity.shifted(some, _by_channel(drawn, some)),
    )


def _by_channel(drawn: Sequence[Any], like: torch.Tensor) -> torch.Tensor:
    return on_device(np.stack(drawn), like.device, like.dtype)[:, :, None, None]


def _histogram(transform: Any) -> Step:
    return Changed(transform, drawing.draw_histogram, intensity.histograms_shifted)


def _noise(transform: Any) -> Step:
    def add(some: torch.Tensor, drawn: list[tuple[float, float, int]]) -> torch.Tensor:
        mean, std = (per_case([one[part] for one in drawn], some) for part in (0, 1))
        return some + intensity.noise_like(some, mean, std, drawn[0][2])

    return Changed(transform, drawing.draw_noise, add)


def _smooth(transform: Any) -> Step:
    approx = transform.rand_smooth.approx
    return Changed(transform, drawing.draw_smoothing, partial(blurring.blurred, approx=approx))


def _sharpen(transform: Any) -> Step:
    approx = transform.rand_sharpen.approx

    def sharpen(some: torch.Tensor, drawn: list[Any]) -> torch.Tensor:
        first, second, amount = zip(*drawn, strict=True)
        return blurring.sharpened(some, first, second, per_case(amount, some), approx)

    return Changed(transform, drawing.draw_sharpening, sharpen)


def _standardise(transform: Any) -> Step:
    by_channel = bool(transform.normalizer.channel_wise)
    return Changed(
        transform, lambda transform, shape: True, lambda some, _: intensity.standardised(some, by_channel=by_channel)
    )


@dataclass(frozen=True)
class _AsPicture:
    """`NormalizeAsPictured`, which looks at what was measured of the pictures."""

    transform: Any

    def draw(self, shape: Shape) -> Any:
        return True

    def apply(self, batch: Batch, drawn: Sequence[Any]) -> dict[str, torch.Tensor]:
        out = dict(batch)
        for key in self.transform.key_iterator(out):
            out[key] = normalised_as(out[key], self.transform.statistics(out, key))
        return out


# Films


def _exposure(transform: Any) -> Step:
    return Changed(transform, _drawn("fields"), films.exposure_changed)


def _local_contrast(transform: Any) -> Step:
    return Changed(transform, _drawn("drawn"), films.contrast_enhanced)


def _devices(transform: Any) -> Step:
    return Changed(transform, _drawn("devices"), films.devices_drawn)


def _drawn(name: str) -> Draw:
    """Of our own transforms: what `randomize` leaves under a name, None or nothing for "stays as it is"."""

    def draw(transform: Any, shape: Shape) -> Any:
        transform.randomize()
        return getattr(transform, name) or None

    return draw


@dataclass(frozen=True)
class _Opacities:
    """`RandLungOpacityd`, which looks at the mask."""

    transform: Any

    def draw(self, shape: Shape) -> Any:
        return _drawn("opacities")(self.transform, shape)

    def apply(self, batch: Batch, drawn: Sequence[Any]) -> dict[str, torch.Tensor]:
        which, those = chosen(drawn)
        out = dict(batch)
        if which:
            classes = out[self.transform.mask_key][:, 0].round()
            lungs = torch.zeros_like(classes, dtype=torch.bool)
            for number in self.transform.lung_classes:
                lungs |= classes == number
            for key in self.transform.key_iterator(out):
                out[key] = films.opacities_added(out[key], lungs, those, which)
        return out


@dataclass(frozen=True)
class _Collimation:
    """`RandCollimationd`, which cuts the mask too."""

    transform: Any

    def draw(self, shape: Shape) -> Any:
        return drawing.draw_collimation(self.transform, shape)

    def apply(self, batch: Batch, drawn: Sequence[Any]) -> dict[str, torch.Tensor]:
        which, those = chosen(drawn)
        out = dict(batch)
        margins, values = [one[0] for one in those], [one[1] for one in those]
        for key in self.transform.key_iterator(out) if which else ():
            out[key] = films.collimated(out[key], margins, values, which)
        mask = self.transform.mask_key
        if which and mask in out:
            out[mask] = films.collimated(out[mask], margins, [0.0] * len(which), which)
        return out


STEPS: dict[str, Callable[[Any], Step]] = {
    "RandAdjustContrastd": _gamma,
    "RandScaleIntensityd": _scale,
    "RandShiftIntensityd": _shift,
    "RandHistogramShiftd": _histogram,
    "RandGaussianNoised": _noise,
    "RandGaussianSmoothd": _smooth,
    "RandGaussianSharpend": _sharpen,
    "NormalizeIntensityd": _standardise,
    "NormalizeAsPictured": _AsPicture,
    "RandExposureFieldd": _exposure,
    "RandLocalContrastd": _local_contrast,
    "RandDevicesd": _devices,
    "RandLungOpacityd": _Opacities,
    "RandCollimationd": _Collimation,
}
