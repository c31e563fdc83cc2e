"""Synthetic lung opacities: the lung is still lung where disease has made it white."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable

from pipeline.transforms.fields import box_blur, position_grid, upsampled

__all__ = ["SAMPLES", "Opacity", "RandLungOpacityd", "add_opacity"]

# Pixels of a film, evenly spread, that its tissue's brightness is taken from.
SAMPLES = 4096


@dataclass(frozen=True)
class Opacity:
    """One drawn opacity.

    Attributes:
        cloud: Coarse control values of the blotches, shape (n, n), about standard normal.
        cover: Level of the cloud above which it is opaque; lower covers more.
        ramp: Where along the height a gradient is half opaque (0 top, 1 bottom) and how steep it is; the sign of the
            steepness says whether the base (+) or the apex (−) is opaque. None for blotches alone.
        sides: Weight of the picture's left and right half.
        strength: Greatest opacity, 0 to 1.
        brightness: Quantile of the tissue outside the lungs that the opacity takes as its brightness.
        texture: Share of the lung's own pattern that still shows through.
        softness: Width of the edge as a share of the picture's height.
    """

    cloud: torch.Tensor
    cover: float
    ramp: tuple[float, float] | None
    sides: tuple[float, float]
    strength: float
    brightness: float
    texture: float
    softness: float


def add_opacity(image: torch.Tensor, lungs: torch.Tensor, opacity: Opacity) -> torch.Tensor:
    """Blend the lungs toward the brightness of soft tissue where the opacity lies.

    Args:
        image: Film with bright bone, values about 0 to 1, shape (C, W, H).
        lungs: Lung mask, shape (W, H), Boolean.
        opacity: What to add.
    Returns: A new film, shape (C, W, H); the input is unchanged. Without lungs or tissue it is returned as it is.
    """
    shape = (lungs.shape[0], lungs.shape[1])
    every = max(1, round((shape[0] * shape[1] / SAMPLES) ** 0.5))
    sample, outside = image[0, ::every, ::every], ~lungs[::every, ::every]
    tissue = sample[outside & (sample > 0.1)]
    if tissue.numel() == 0 or not lungs.any():
        return image
    x, y = position_grid(shape)
    amount = torch.sigmoid(6.0 * (upsampled(opacity.cloud, shape) - opacity.cover))
    if opacity.ramp is not None:
        where, steepness = opacity.ramp
        rows = lungs.any(dim=0).nonzero()
        top, bottom = (float(v) / max(shape[1] - 1, 1) for v in (rows.min(), rows.max()))
        height = (y - top) / max(bottom - top, 1e-3)
        amount = torch.maximum(amount * 0.3, torch.sigmoid(steepness * (height - where)) * (0.8 + 0.2 * amount))
    columns = lungs.any(dim=1).nonzero()
    middle = float(columns.float().mean()) / max(shape[0] - 1, 1)
    side = torch.sigmoid((x - middle) * 40.0)
    amount = amount * (opacity.sides[0] * (1 - side) + opacity.sides[1] * side)

    # Twice the blurred mask, cut at one: opaque up to the outline and fading outside it, so that the outline itself
    # disappears as it does behind an effusion.
    inside = (2.0 * box_blur(lungs.float(), round(opacity.softness * shape[1]))).clamp(max=1.0)
    alpha = (opacity.strength * amount * inside).clamp(0, 1)
    target = torch.quantile(tissue.float(), opacity.brightness)
    lung_mean = image[:, lungs].mean(dim=1)[:, None, None]
    return image * (1 - alpha) + alpha * (target + opacity.texture * (image - lung_mean))


class RandLungOpacityd(Randomizable, MapTransform):
    """Add synthetic opacities inside the lungs of a chest film and keep the mask.

    A network trained on mostly healthy lungs takes "dark" for "lung" and leaves out consolidated or effused lung at
    another hospital. Blotches (consolidation, infiltrates) and gradients from the apex or the base (tuberculosis,
    effusion), on one or both sides, are blended toward the brightness of the film's own soft tissue.

    Args:
        keys: Films, bright bone, values about 0 to 1, shape (C, W, H).
        mask_key: Lung mask of the film: class indices, shape (1, W, H).
        lung_classes: Class indices that are lung.
        prob: Probability of any opacity; up to ``most`` are added.
        most: Largest number of opacities in one film.
        strength: Range of the greatest opacity.
        allow_missing_keys: As in MONAI.
    References: Tang et al., XLSor, arXiv:1904.09229 (synthetic abnormal films for lung segmentation).
    """

    def __init__(
        self,
        keys: KeysCollection,
        mask_key: str = "label",
        lung_classes: tuple[int, ...] = (1,),
        prob: float = 0.5,
        most: int = 2,
        strength: tuple[float, float] = (0.3, 1.0),
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.mask_key = mask_key
        self.lung_classes = tuple(lung_classes)
        self.prob = prob
        self.most = most
        self.strength = strength
        self.opacities: list[Opacity] = []

    def randomize(self, data: Any = None) -> None:
        """Draw the opacities of the next film."""
        self.opacities = []
        if self.R.rand() >= self.prob:
            return
        for _ in range(self.R.randint(1, self.most + 1)):
            n = self.R.randint(3, 9)
            steepness = float(self.R.uniform(5, 25)) * float(self.R.choice([-1.0, 1.0], p=[0.3, 0.7]))
            weak = float(self.R.uniform(0, 0.5))
            self.opacities.append(
                Opacity(
                    cloud=torch.as_tensor(self.R.standard_normal((n, n)), dtype=torch.float32),
                    cover=float(self.R.uniform(-0.8, 1.0)),
                    ramp=(float(self.R.uniform(0.2, 0.9)), steepness) if self.R.rand() < 0.5 else None,
                    sides=[(1.0, 1.0), (1.0, weak), (weak, 1.0)][self.R.randint(3)],
                    strength=float(self.R.uniform(*self.strength)),
                    brightness=float(self.R.uniform(0.3, 0.9)),
                    texture=float(self.R.uniform(0.0, 0.6)),
                    softness=float(self.R.uniform(0.005, 0.05)),
                )
            )

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case with its films changed."""
        out = dict(data)
        self.randomize()
        if not self.opacities:
            return out
        mask = torch.as_tensor(out[self.mask_key])[0]
        lungs = torch.isin(mask.round().to(torch.int64), torch.tensor(self.lung_classes))
        for key in self.key_iterator(out):
            for opacity in self.opacities:
                out[key] = add_opacity(out[key], lungs, opacity)
        return out
