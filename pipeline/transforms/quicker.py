"""MONAI's deterministic transforms with the same results in less time, put into a bundle's chain when it is loaded.

The bundle's configs stay MONAI's own; what is changed is the object that does the work. Processor time a film from file
to mask, on one core, with the chest bundle's network and no flips: 65.8 to 49.0 ms at 512², 369 to 122 ms at 2048².
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Resize, Resized, ScaleIntensityRangePercentiles, ScaleIntensityRangePercentilesd
from monai.transforms.intensity.array import ScaleIntensityRange

from pipeline.errors import UnsupportedImage
from pipeline.sizes import size_at_longest
from pipeline.transforms.spacing import ToSpacingd

__all__ = ["QuickPercentiles", "QuickResize", "quicker"]

# New rows that are made at once, from the old rows that any of them needs.
BLOCK = 32
TRUNCATED = 4.0  # standard deviations, as in MONAI's `GaussianFilter`


def quicker(chain: Compose) -> Compose:
    """Let the transforms of a chain do their work by quicker means; the chain itself, changed.

    Those that it does not know stay as they are.
    """
    for transform in chain.transforms:
        if type(transform) is Resized:
            transform.resizer = QuickResize.of(transform.resizer)
        elif type(transform) is ToSpacingd:
            transform.resizers = {key: QuickResize.of(one) for key, one in transform.resizers.items()}
        elif type(transform) is ScaleIntensityRangePercentilesd:
            transform.scaler = QuickPercentiles.of(transform.scaler)
    return chain


class QuickResize(Resize):
    """MONAI's `Resize`, which makes a picture smaller without smoothing all of it first.

    MONAI convolves the whole picture with a Gaussian and interpolates between the pixels of the result. Both are linear
    and treat the axes apart: the new picture is the old one between two matrices with few entries in each row.
    """

    @classmethod
    def of(cls, other: Resize) -> QuickResize:
        """One with the same settings."""
        return cls(
            other.spatial_size,
            other.size_mode,
            other.mode,
            other.align_corners,
            other.anti_aliasing,
            other.anti_aliasing_sigma,
            other.dtype,
            other.lazy,
        )

    def __call__(
        self,
        img: torch.Tensor,
        mode: str | None = None,
        align_corners: bool | None = None,
        anti_aliasing: bool | None = None,
        anti_aliasing_sigma: Sequence[float] | float | None = None,
        dtype: Any = None,
        lazy: bool | None = None,
    ) -> torch.Tensor:
        """As MONAI's; anything but anti-aliased bilinear interpolation of a picture on the CPU is left to it.

        Raises: UnsupportedImage: if a picture is so elongated that its shorter side would have no pixel.
        """
        if self.size_mode == "longest" and min(size_at_longest(img.shape[1:], self.spatial_size)) < 1:
            raise UnsupportedImage(
                f"{'×'.join(map(str, img.shape[1:]))} pixels: with {self.spatial_size} on the longer side the shorter "
                "one would have none. Cut out the part that matters."
            )
        smoothed = self.anti_aliasing if anti_aliasing is None else anti_aliasing
        sigma = self.anti_aliasing_sigma if anti_aliasing_sigma is None else anti_aliasing_sigma
        plain = (mode or self.mode) == "bilinear" and not (
            self.align_corners if align_corners is None else align_corners
        )
        known = img.ndim == 3 and img.device.type == "cpu" and sigma is None and not (lazy or self.lazy)
        if not (smoothed and plain and known):
            return super().__call__(img, mode, align_corners, anti_aliasing, anti_aliasing_sigma, dtype, lazy)
        # Without the filter it is quick, and keeps the account of what was done, by which it is undone.
        out: torch.Tensor = super().__call__(img, mode, align_corners, False, None, dtype, lazy)
        old, new = tuple(img.shape[1:]), tuple(out.shape[1:])
        if any(after < before for before, after in zip(old, new, strict=True)):
            _plain(out).copy_(_smaller(_plain(img).float(), new))
        return out


class QuickPercentiles(ScaleIntensityRangePercentiles):
    """MONAI's `ScaleIntensityRangePercentiles`, which looks for its two values without sorting all of them."""

    @classmethod
    def of(cls, other: ScaleIntensityRangePercentiles) -> QuickPercentiles:
        """One with the same settings."""
        return cls(
            other.lower,
            other.upper,
            other.b_min,
            other.b_max,
            other.clip,
            other.relative,
            other.channel_wise,
            other.dtype,
        )

    def _normalize(self, img: Any) -> Any:
        values = _plain(img)
        if self.relative or values.device.type != "cpu":
            return super()._normalize(img)
        low, high = np.percentile(values.numpy(), [self.lower, self.upper])
        scaled = ScaleIntensityRange(float(low), float(high), self.b_min, self.b_max, self.clip, self.dtype)(values)
        return _plain(scaled)


def _smaller(picture: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Anti-aliased and bilinearly resized, (C, *size), for (C, W, H), float32."""
    along = _product(picture, picture.shape[1], size[0])
    # The last axis is the one that lies together in memory.
    return _product(along.transpose(1, 2), picture.shape[2], size[1]).transpose(1, 2)


def _product(picture: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """The matrix of `_weights` times a picture (C, before, …), over the old rows that each block needs."""
    weights, starts, ends = _weights(before, after)
    blocks = [
        torch.matmul(weights[first : first + BLOCK, start:end], picture[:, start:end])
        for first, start, end in zip(range(0, after, BLOCK), starts, ends, strict=True)
    ]
    return torch.cat(blocks, dim=1)


@lru_cache(maxsize=64)
def _weights(before: int, after: int) -> tuple[torch.Tensor, list[int], list[int]]:
    """How much each old pixel counts for each new one, (after, before), and the old pixels that blocks need.

    References: `monai.networks.layers.gaussian_1d`, approx="erf", with sigma as in `skimage.transform.resize`;
        `torch.nn.functional.interpolate`, align_corners=False.
    """
    factor = before / after
    middle = np.maximum((np.arange(after) + 0.5) * factor - 0.5, 0)
    low = np.minimum(np.floor(middle), before - 1)
    high = np.minimum(low + 1, before - 1)
    share = (middle - low)[:, np.newaxis]
    pixels = np.arange(before)
    near, far = (_kernel(pixels - part[:, np.newaxis], factor) for part in (low, high))
    weights = torch.from_numpy(near + share * (far - near)).float()
    tail = _tail(factor)
    starts = [max(0, int(low[k]) - tail) for k in range(0, after, BLOCK)]
    ends = [min(before, int(high[min(k + BLOCK, after) - 1]) + tail + 1) for k in range(0, after, BLOCK)]
    return weights, starts, ends


def _tail(factor: float) -> int:
    return int(max(max(0.0, (factor - 1) / 2) * TRUNCATED, 0.5) + 0.5)


def _kernel(apart: Any, factor: float) -> Any:
    """The Gaussian at whole distances from its middle; 1 in the middle where nothing is made smaller."""
    sigma = max(0.0, (factor - 1) / 2)
    if sigma == 0:
        return (apart == 0).astype(float)
    steep = math.sqrt(0.5) / sigma
    tail = _tail(factor)
    bell = np.array([0.5 * (math.erf(steep * (x + 0.5)) - math.erf(steep * (x - 0.5))) for x in range(tail + 1)])
    distance = np.abs(apart).astype(int)
    return np.where(distance <= tail, bell[np.minimum(distance, tail)], 0.0)


def _plain(value: Any) -> torch.Tensor:
    """Without MONAI's metadata, which every operation would carry along."""
    return value.as_tensor() if isinstance(value, MetaTensor) else torch.as_tensor(value)
