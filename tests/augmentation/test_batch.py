"""The augmentation as a whole, and in a MONAI trainer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.transforms import (
    NormalizeIntensityd,
    Rand2DElasticd,
    RandAdjustContrastd,
    RandAffined,
    RandBiasFieldd,
    RandFlipd,
    RandGaussianNoised,
    RandRotate90d,
    RandZoomd,
)

from pipeline.augmentation import AugmentedBatch, BatchAugmentation
from pipeline.augmentation.steps import CaseByCase, Warped

Maker = Callable[..., dict[str, torch.Tensor]]
BOTH = ["image", "label"]
MODES = ["bilinear", "nearest"]
TRAIN = Path(__file__).parents[2] / "bundles" / "cxr_lung_segmentation" / "configs" / "train.yaml"


def shape_changes(padding: str = "zeros") -> list[Any]:
    return [
        RandFlipd(BOTH, prob=0.5, spatial_axis=0),
        RandZoomd(BOTH, prob=0.5, mode=MODES, padding_mode="constant" if padding == "zeros" else padding),
        RandAffined(BOTH, prob=0.5, rotate_range=0.3, mode=MODES, padding_mode=padding),
        Rand2DElasticd(BOTH, prob=0.5, spacing=(16, 16), magnitude_range=(1, 2), mode=MODES, padding_mode=padding),
    ]


def planned_transforms() -> list[Any]:
    """The random transforms of the committed bundle."""
    config = yaml.safe_load(TRAIN.read_text(encoding="utf-8"))
    steps = [*config["train"]["random_transforms"][:-1], config["validate"]["normalise"]]
    parser = ConfigParser({"steps": steps})
    parser.parse()
    return list(parser.get_parsed_content("steps"))


def test_changes_of_shape_that_follow_one_another_are_one_resampling() -> None:
    assert [type(step) for step in BatchAugmentation(shape_changes()).steps] == [Warped]
    between = [*shape_changes(), RandAdjustContrastd("image"), *shape_changes()]
    assert len(BatchAugmentation(between).steps) == 3


def test_what_cannot_go_together_is_resampled_apart() -> None:
    after_elastic = [*shape_changes(), RandFlipd(BOTH, spatial_axis=1)]
    other_padding = [*shape_changes()[:2], *shape_changes("border")[2:]]
    other_keys = [*shape_changes()[:3], RandFlipd("image")]
    for transforms in (after_elastic, other_padding, other_keys):
        assert len(BatchAugmentation(transforms).steps) == 2


def test_every_transform_of_the_planned_films_has_a_batch_form() -> None:
    steps = BatchAugmentation(planned_transforms()).steps
    assert not [step for step in steps if isinstance(step, CaseByCase)]
    assert sum(isinstance(step, Warped) for step in steps) == 1


def test_drawing_and_applying_are_two_things(batch: Maker) -> None:
    cases = batch(count=6, width=96, height=96)
    augmentation = BatchAugmentation(planned_transforms()).set_random_state(2)
    drawn = augmentation.randomize(cases)
    first, again = augmentation.apply(cases, drawn), augmentation.apply(cases, drawn)
    other = augmentation(cases)
    assert all(torch.equal(first[key], again[key]) for key in BOTH)
    assert not torch.equal(first["image"], other["image"])


def test_the_same_seed_gives_the_same_batches_and_another_seed_others(batch: Maker) -> None:
    def run(seed: int) -> torch.Tensor:
        augmentation = BatchAugmentation(planned_transforms()).set_random_state(seed)
        return torch.stack([augmentation(batch(count=4, width=96, height=96))["image"] for _ in range(2)])

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_a_batch_given_stays_as_it_is(batch: Maker) -> None:
    cases, before = batch(count=4, width=96, height=96), batch(count=4, width=96, height=96)
    out = BatchAugmentation(planned_transforms()).set_random_state(0)(cases)
    assert all(torch.equal(cases[key], before[key]) for key in BOTH)
    assert out["image"].shape == cases["image"].shape and torch.isfinite(out["image"]).all()
    assert set(out["label"].unique().tolist()) <= {0.0, 1.0}


def test_picture_and_mask_stay_together(batch: Maker) -> None:
    cases = batch(count=8, width=64, height=64)
    cases["image"] = cases["label"].clone()
    out = BatchAugmentation(shape_changes()).set_random_state(4)(cases)
    overlap = ((out["image"] > 0.5) == (out["label"] > 0.5)).float().mean()
    assert float(overlap) > 0.99
    assert not torch.equal(out["label"], cases["label"])


def test_a_transform_that_is_not_known_is_applied_case_by_case(batch: Maker) -> None:
    cases = batch(count=3)
    augmentation = BatchAugmentation([RandBiasFieldd("image", prob=1.0), NormalizeIntensityd("image", nonzero=True)])
    assert all(isinstance(step, CaseByCase) for step in augmentation.steps)
    out = augmentation(cases)
    assert type(out["image"]) is torch.Tensor
    assert out["image"].shape == cases["image"].shape
    assert not torch.equal(out["image"], cases["image"])


def test_pictures_that_are_not_square_are_turned_by_half(batch: Maker) -> None:
    cases = batch(width=40, height=48)
    out = BatchAugmentation([RandRotate90d(BOTH, prob=1.0, max_k=1)])(cases)
    for key in BOTH:
        assert torch.allclose(out[key].float(), torch.rot90(cases[key].float(), 2, (2, 3)), atol=1e-4)


def test_a_trainer_takes_it_as_its_prepare_batch(batch: Maker) -> None:
    from monai.engines import SupervisedTrainer

    seen = []

    class Network(torch.nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return super().forward(x)

    network = Network(1, 1, 1)
    cases = {key: MetaTensor(value) for key, value in batch().items()}
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=[cases],
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), 0.1),
        loss_function=torch.nn.MSELoss(),
        prepare_batch=AugmentedBatch([RandGaussianNoised("image", prob=1.0, std=0.1, sample_std=False)]),
    )
    trainer.run()
    assert type(seen[0]) is torch.Tensor
    assert float((seen[0] - cases["image"].as_tensor()).std()) == pytest.approx(0.1, abs=0.01)


def test_masks_of_whole_numbers_keep_their_type(batch: Maker) -> None:
    cases = batch()
    cases["label"] = cases["label"].to(torch.uint8)
    out = BatchAugmentation(shape_changes()).set_random_state(1)(cases)
    assert out["label"].dtype == torch.uint8
    assert np.isin(out["label"].numpy(), (0, 1)).all()


@pytest.mark.parametrize("padding", ["symmetric", "wrap", "mean"])
def test_a_padding_that_sampling_does_not_know_is_left_to_monai(padding: str) -> None:
    (step,) = BatchAugmentation([RandZoomd(BOTH, prob=1.0, padding_mode=padding)]).steps
    assert isinstance(step, CaseByCase)
