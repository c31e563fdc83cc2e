"""Augmentation of whole batches where they are computed, as MONAI's engines take it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.engines import PrepareBatch
from monai.transforms import Randomizable
from monai.utils import MAX_SEED, get_seed

from pipeline.augmentation.kinds import steps_for
from pipeline.augmentation.steps import Step
from pipeline.transforms.whole_picture import statistics_key

__all__ = ["AugmentedBatch", "BatchAugmentation"]


class BatchAugmentation(Randomizable):
    """Random dictionary transforms, applied to a batch at once and where it is.

    The transforms are the very ones that a `Compose` would apply to one case after the other: they draw for each case,
    with their own ranges and random states, and what they drew is applied to all cases together. Changes of shape that
    follow one another become one resampling. Pixel for pixel it is what MONAI does with the same parameters, but for
    pictures that several transforms would each have interpolated.

    Args:
        transforms: As in a bundle's list of random transforms. Those that are not known are applied case by case.
    """

    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        self.transforms = tuple(transforms)
        self.steps: list[Step] = steps_for(self.transforms)
        self.set_random_state(get_seed())  # as Compose does

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> BatchAugmentation:
        """Seed all transforms, as `Compose` does."""
        super().set_random_state(seed=seed, state=state)
        for transform in self.transforms:
            if isinstance(transform, Randomizable):
                transform.set_random_state(seed=self.R.randint(MAX_SEED, dtype="uint32"))
        return self

    def randomize(self, data: Mapping[str, torch.Tensor]) -> list[list[Any]]:
        """Draw for a batch.

        Args:
            data: Key → pictures or masks, shape (B, C, W, H), the pictures first; only the shape is looked at.
        Returns: For each step what it does to each case.
        """
        first = next(iter(data.values()))
        shape = (int(first.shape[1]), int(first.shape[2]), int(first.shape[3]))
        return [[step.draw(shape) for _ in range(len(first))] for step in self.steps]

    @torch.no_grad()
    def apply(self, data: Mapping[str, torch.Tensor], drawn: Sequence[Sequence[Any]]) -> dict[str, torch.Tensor]:
        """Do to a batch what was drawn; its own pictures stay as they are."""
        batch = {key: (one.as_tensor() if isinstance(one, MetaTensor) else one).clone() for key, one in data.items()}
        for step, those in zip(self.steps, drawn, strict=True):
            batch = step.apply(batch, those)
        return batch

    def __call__(self, data: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Draw, and apply."""
        return self.apply(data, self.randomize(data))


class AugmentedBatch(PrepareBatch):
    """`prepare_batch` of a MONAI trainer: moves a batch to the device and augments it there.

        prepare_batch: {_target_: pipeline.augmentation.AugmentedBatch, transforms: "@train#random_transforms"}

    Args:
        transforms: See `BatchAugmentation`.
        image_key, label_key: Of the batch.
    """

    def __init__(
        self, transforms: Sequence[Callable[..., Any]], image_key: str = "image", label_key: str = "label"
    ) -> None:
        self.augmentation = BatchAugmentation(transforms)
        self.keys = (image_key, label_key)

    def __call__(
        self,
        batchdata: Mapping[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures and masks on the device, augmented, both (B, C, W, H)."""
        measured = statistics_key(self.keys[0])  # of patches; see NormalizeAsPictured
        keys = (*self.keys, measured) if measured in batchdata else self.keys
        batch = {key: batchdata[key].to(device=device, non_blocking=non_blocking, **kwargs) for key in keys}
        augmented = self.augmentation(batch)
        return augmented[self.keys[0]], augmented[self.keys[1]]
