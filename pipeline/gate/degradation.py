"""Pictures made worse on purpose, so that calibration sees bad predictions as well as good ones.

A validation set has a few dozen predictions, most of them good. How the signals of bad ones look is learned from the
same pictures with what goes wrong in practice: opaque regions, over- and under-exposure, loss of contrast, blur,
noise, covered parts, turned or small pictures, negatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.gate.perturb import brightened, moved, rescaled
from pipeline.transforms import RandExposureFieldd, RandLocalContrastd, RandLungOpacityd
from pipeline.transforms.fields import box_blur

__all__ = ["DEGRADATIONS", "Step", "degrade", "draw_steps", "restore"]

# How often each is drawn, against the others.
DEGRADATIONS = {
    "opacity": 4.0,
    "exposure": 2.0,
    "gamma": 2.0,
    "local_contrast": 2.0,
    "cover": 1.0,
    "rotation": 1.5,
    "shrinking": 1.5,
    "blur": 1.0,
    "noise": 1.0,
    "clipping": 1.0,
    "negative": 0.3,
}


@dataclass(frozen=True)
class Step:
    """One degradation: its kind, its strength in the kind's own unit, and the seed of what is random within it."""

    kind: str
    strength: float
    seed: int


def draw_steps(rng: np.random.Generator) -> list[Step]:
    """One to three degradations of different kinds."""
    weights = np.array(list(DEGRADATIONS.values()))
    number = rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2])
    kinds = rng.choice(list(DEGRADATIONS), size=number, replace=False, p=weights / weights.sum())
    return [Step(str(kind), _strength(str(kind), rng), int(rng.integers(2**31))) for kind in kinds]


def degrade(image: torch.Tensor, mask: torch.Tensor, steps: Sequence[Step]) -> torch.Tensor:
    """Apply degradations, one after the other.

    Args:
        image: A picture as the network gets it, (1, C, W, H), on the CPU.
        mask: Class indices as predicted on it, (W, H): where opacities go.
        steps: From `draw_steps`.
    Returns: A new picture with the old one's mean and spread.
    """
    bright = brightened(image, 1.0)
    for step in steps:
        bright = _APPLY[step.kind](bright, mask, step)
    return rescaled(bright, image)


def restore(probabilities: torch.Tensor, steps: Sequence[Step]) -> torch.Tensor:
    """Bring a degraded picture's answer back to where everything was.

    Args:
        probabilities: Of the classes, (1, classes, W, H).
        steps: What was done to the picture.
    """
    for step in reversed(steps):
        if step.kind in ("rotation", "shrinking"):
            scale, degrees = _motion(step, probabilities.shape[2:])
            # Undone in the reverse order of moving: both are about the middle, so that they commute.
            found = moved(probabilities[:, 1:], 1 / scale, -degrees)
            probabilities = torch.cat([1 - found.sum(dim=1, keepdim=True), found], dim=1)
    return probabilities


def _strength(kind: str, rng: np.random.Generator) -> float:
    sign = float(rng.choice([-1.0, 1.0]))
    if kind == "gamma":
        return math.exp(sign * rng.uniform(0.4, 1.3))
    if kind == "cover":
        return float(rng.uniform(0.1, 0.3))
    if kind == "rotation":
        return float(rng.choice([90.0, 180.0, 270.0])) if rng.random() < 0.3 else sign * float(rng.uniform(15, 60))
    if kind == "shrinking":
        return float(rng.uniform(0.5, 0.85))
    if kind == "blur":
        return float(rng.uniform(0.004, 0.025))
    if kind == "noise":
        return float(rng.uniform(0.05, 0.4))
    if kind == "clipping":
        return sign * float(rng.uniform(0.3, 0.7))
    return 1.0


def _opacity(image: torch.Tensor, mask: torch.Tensor, step: Step) -> torch.Tensor:
    classes = tuple(range(1, int(mask.max()) + 1))
    if not classes:
        return image
    change = RandLungOpacityd("image", "mask", lung_classes=classes, prob=1.0, most=3, strength=(0.4, 1.3))
    change.set_random_state(step.seed)
    return change({"image": image[0], "mask": mask[None]})["image"][None]


def _exposure(image: torch.Tensor, _: torch.Tensor, step: Step) -> torch.Tensor:
    change = RandExposureFieldd("image", prob=1.0, gain=0.6, offset=0.2)
    change.set_random_state(step.seed)
    return change({"image": image[0]})["image"][None]


def _local_contrast(image: torch.Tensor, _: torch.Tensor, step: Step) -> torch.Tensor:
    change = RandLocalContrastd("image", prob=1.0, radius=(0.03, 0.2), amount=(0.5, 1.2))
    change.set_random_state(step.seed)
    return change({"image": image[0]})["image"][None]


def _cover(image: torch.Tensor, _: torch.Tensor, step: Step) -> torch.Tensor:
    rng = np.random.default_rng(step.seed)
    out = image.clone()
    for _box in range(int(rng.integers(1, 3))):
        sides = [max(1, int(step.strength * rng.uniform(0.6, 1.4) * length)) for length in image.shape[2:]]
        x, y = (int(rng.integers(0, max(1, n - side))) for n, side in zip(image.shape[2:], sides, strict=True))
        value = (0.0, 1.0, float(image.mean()))[int(rng.integers(3))]
        out[:, :, x : x + sides[0], y : y + sides[1]] = value
    return out


def _blur(image: torch.Tensor, _: torch.Tensor, step: Step) -> torch.Tensor:
    radius = max(1, round(step.strength * max(image.shape[2:])))
    return torch.stack([box_blur(channel, radius) for channel in image[0]])[None]


def _noise(image: torch.Tensor, _: torch.Tensor, step: Step) -> torch.Tensor:
    generator = torch.Generator().manual_seed(step.seed)
    return image + step.strength * torch.randn(image.shape, generator=generator).to(image.device)


def _clipping(image: torch.Tensor, _: torch.Tensor, step: Step) -> torch.Tensor:
    """Only what is above (a negative strength: below) a brightness can still be told apart."""
    level = abs(step.strength)
    return image.clamp(min=level) if step.strength > 0 else image.clamp(max=level)


def _move(image: torch.Tensor, _: torch.Tensor, step: Step) -> torch.Tensor:
    low = image.amin(dim=(1, 2, 3), keepdim=True)
    return moved(image - low, *_motion(step, image.shape[2:])) + low


def _motion(step: Step, shape: Sequence[int]) -> tuple[float, float]:
    """Scale and degrees; a turned picture is made small enough that nothing falls off its edges."""
    if step.kind == "shrinking":
        return step.strength, 0.0
    cos, sin = (abs(part(math.radians(step.strength))) for part in (math.cos, math.sin))
    width, height = shape
    return min(width / (width * cos + height * sin), height / (width * sin + height * cos)), step.strength


_APPLY: dict[str, Callable[[torch.Tensor, torch.Tensor, Step], torch.Tensor]] = {
    "opacity": _opacity,
    "exposure": _exposure,
    "gamma": lambda image, _, step: image.clamp(0, 1) ** step.strength,
    "local_contrast": _local_contrast,
    "cover": _cover,
    "rotation": _move,
    "shrinking": _move,
    "blur": _blur,
    "noise": _noise,
    "clipping": _clipping,
    "negative": lambda image, _, step: image.max() - image,
}
