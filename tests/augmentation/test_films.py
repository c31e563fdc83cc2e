"""What happens to films, for a batch and for one film with the same parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pipeline.augmentation import BatchAugmentation
from pipeline.transforms import (
    RandCollimationd,
    RandDevicesd,
    RandExposureFieldd,
    RandLocalContrastd,
    RandLungOpacityd,
)

Maker = Callable[..., dict[str, torch.Tensor]]
KINDS: dict[str, Callable[[], Any]] = {
    "opacity": lambda: RandLungOpacityd("image", prob=0.8),
    "exposure": lambda: RandExposureFieldd("image", prob=0.8),
    "local contrast": lambda: RandLocalContrastd("image", prob=0.8),
    "devices": lambda: RandDevicesd("image", prob=0.8),
    "collimation": lambda: RandCollimationd("image", prob=0.8),
}


def one_by_one(make: Callable[[], Any], cases: dict[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    transform = make().set_random_state(seed)
    results = [
        transform({key: values[number] for key, values in cases.items()}) for number in range(len(cases["image"]))
    ]
    return {key: torch.stack([torch.as_tensor(one[key]) for one in results]) for key in cases}


@pytest.mark.parametrize("name", KINDS)
def test_a_batch_is_changed_as_its_films_one_by_one(batch: Maker, name: str) -> None:
    cases = batch(count=12, width=64, height=56)
    augmentation = BatchAugmentation([KINDS[name]()])
    augmentation.transforms[0].set_random_state(3)
    ours, theirs = augmentation(cases), one_by_one(KINDS[name], cases, 3)
    assert float((ours["image"] - theirs["image"]).abs().max()) < 1e-4
    assert torch.equal(ours["label"], theirs["label"])
    assert (theirs["image"] != cases["image"]).flatten(1).any(dim=1).sum() >= 6


def test_an_opacity_leaves_films_without_lungs_or_tissue(batch: Maker) -> None:
    cases = batch(count=3)
    cases["label"][0] = 0
    cases["image"][1] = 0
    changed = BatchAugmentation([RandLungOpacityd("image", prob=1.0, strength=(1.0, 1.0))])(cases)["image"]
    assert torch.equal(changed[0], cases["image"][0])
    assert torch.equal(changed[1], cases["image"][1])
    assert not torch.equal(changed[2], cases["image"][2])


def test_only_the_classes_named_are_lung(batch: Maker) -> None:
    cases = batch(count=2)
    cases["label"] *= 2
    for classes, moves in (((1,), False), ((1, 2), True)):
        changed = BatchAugmentation([RandLungOpacityd("image", prob=1.0, lung_classes=classes)])(cases)["image"]
        assert torch.equal(changed, cases["image"]) is not moves


def test_the_blur_of_a_gpu_is_that_of_the_cpu() -> None:
    """There all fields are blurred together."""
    from pipeline.augmentation import fields as module

    fields, radii = torch.rand(3, 2, 40, 31), [2, 0, 9]
    together = fields
    for axis in (2, 3, 2, 3):
        together = module._box_mean(together, torch.tensor(radii), axis)
    assert torch.allclose(together, module.box_blurred(fields, radii), atol=1e-5)
