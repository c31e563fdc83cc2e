"""The steps of an augmentation: what is drawn for each case of a batch, and how it is applied to all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform

from pipeline.augmentation import drawing, warps
from pipeline.augmentation.drawing import Draw, Shape
from pipeline.augmentation.subsets import changed, chosen

__all__ = ["WARPS", "Batch", "CaseByCase", "Changed", "Step", "Warped"]

Batch = Mapping[str, torch.Tensor]


class Step(Protocol):
    """One step."""

    def draw(self, shape: Shape) -> Any:
        """What happens to the next case of that shape; None for nothing."""

    def apply(self, batch: Batch, drawn: Sequence[Any]) -> dict[str, torch.Tensor]:
        """The batch, changed as was drawn for each of its cases, maybe in its place; the same for the same."""


@dataclass(frozen=True)
class Changed:
    """A change of the grey values.

    Attributes:
        transform: Whose parameters are drawn.
        draws: Lets it draw.
        change: From some pictures (n, C, W, H) and what was drawn for them to the new pictures.
    """

    transform: MapTransform
    draws: Draw
    change: Callable[[torch.Tensor, list[Any]], torch.Tensor]

    def draw(self, shape: Shape) -> Any:
        """See `Step`."""
        return self.draws(self.transform, shape)

    def apply(self, batch: Batch, drawn: Sequence[Any]) -> dict[str, torch.Tensor]:
        """See `Step`."""
        which, those = chosen(drawn)
        out = dict(batch)
        for key in self.transform.key_iterator(out) if which else ():
            out[key] = changed(out[key], which, lambda some: self.change(some, those))
        return out


@dataclass(frozen=True)
class Warped:
    """Changes of shape that follow one another, as one resampling.

    Attributes:
        transforms: In order, each with what lets it draw; only the last one may be elastic.
        modes: Key → interpolation.
        padding: What is taken for pixels outside: "zeros", "border" or "reflection".
    """

    transforms: tuple[tuple[MapTransform, Draw], ...]
    modes: Mapping[str, str]
    padding: str

    def draw(self, shape: Shape) -> warps.Warp | None:
        """See `Step`."""
        whole: warps.Warp | None = None
        for transform, draws in self.transforms:
            drawn = draws(transform, shape)
            if drawn is not None:
                whole = drawn if whole is None else warps.composed(whole, drawn)
        return whole

    def apply(self, batch: Batch, drawn: Sequence[warps.Warp | None]) -> dict[str, torch.Tensor]:
        """See `Step`."""
        which, those = chosen(drawn)
        out = dict(batch)
        if not which:
            return out
        first = next(iter(self.modes))
        grid = warps.sampling_grid(those, (out[first].shape[2], out[first].shape[3]), out[first].device)
        for key, mode in self.modes.items():
            out[key] = changed(out[key], which, partial(warps.resampled, grid=grid, mode=mode, padding=self.padding))
        return out


@dataclass(frozen=True)
class CaseByCase:
    """Any other transform: applied by itself to one case after the other, where they are.

    What it draws depends on the pixels, or is not known here, so it is drawn as it is applied.
    """

    transform: Callable[[dict[str, Any]], Mapping[str, Any]]

    def draw(self, shape: Shape) -> bool:
        """See `Step`."""
        return True

    def apply(self, batch: Batch, drawn: Sequence[Any]) -> dict[str, torch.Tensor]:
        """See `Step`."""
        count = len(next(iter(batch.values())))
        cases = [self.transform({key: values[number] for key, values in batch.items()}) for number in range(count)]
        return {key: torch.stack([_plain(case[key]) for case in cases]) for key in batch}


def _plain(picture: Any) -> torch.Tensor:
    if isinstance(picture, MetaTensor):
        return picture.as_tensor()
    return picture if isinstance(picture, torch.Tensor) else torch.from_numpy(np.asarray(picture))


# Transforms that change a picture's shape, and what lets them draw.
WARPS: dict[str, Draw] = {
    "RandFlipd": drawing.draw_flip,
    "RandRotate90d": drawing.draw_turn,
    "RandZoomd": drawing.draw_zoom,
    "RandAffined": drawing.draw_affine,
    "Rand2DElasticd": drawing.draw_elastic,
}
