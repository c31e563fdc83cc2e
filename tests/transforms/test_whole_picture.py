"""Patches that are normalised as their pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigParser
from monai.data import CacheDataset, DataLoader
from monai.transforms import Compose, NormalizeIntensityd
from PIL import Image

from pipeline.augmentation import AugmentedBatch
from pipeline.transforms import NormalizeAsPictured, PatchStatisticsd, PictureStatisticsd

TOMOGRAPHY = Path(__file__).parents[2] / "bundles" / "tomo_pore_segmentation" / "configs" / "train.yaml"


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANAR_CACHE", str(tmp_path / "kept"))


@pytest.fixture
def case(tmp_path: Path) -> dict[str, Any]:
    """A picture that is dark and even on the left, bright and uneven on the right."""
    ramp = np.linspace(20, 200, 240)[None] + np.linspace(0, 40, 240)[None] * np.random.default_rng(0).normal(
        size=(200, 240)
    )
    Image.fromarray(ramp.clip(0, 255).astype(np.uint8)).save(tmp_path / "image.png")
    Image.fromarray((ramp > 150).astype(np.uint8)).save(tmp_path / "mask.png")
    return {"image": str(tmp_path / "image.png"), "label": str(tmp_path / "mask.png")}


def planned() -> tuple[Any, list[Any], Any]:
    """Of a bundle that takes patches: its chain, what ends the augmentation, and its chain for validation."""
    config = yaml.safe_load(TOMOGRAPHY.read_text(encoding="utf-8"))
    end = config["train"]["random_transforms"][-1]
    config["train"]["random_transforms"] = [end]
    parser = ConfigParser({key: config[key] for key in ("labels", "train", "validate")} | {"image_size": [64, 64]})
    chains = [parser.get_parsed_content(f"{part}#preprocessing") for part in ("train", "validate")]
    return chains[0], list(parser.get_parsed_content("train#random_transforms")), chains[1]


@pytest.mark.parametrize("cache_rate", [0.0, 1.0])
def test_patches_of_a_planned_training_have_the_grey_values_that_inference_sees(
    case: dict[str, Any], cache_rate: float
) -> None:
    chain, end, validation = planned()
    whole = validation(case)["image"]
    chain.set_random_state(0)
    dataset = CacheDataset([case], chain, cache_rate=cache_rate, progress=False)
    prepare = AugmentedBatch(end)
    windows = whole[0].unfold(0, 64, 1).unfold(1, 64, 1)
    for _ in range(2):  # decoded, and from where it is kept
        for batch in DataLoader(dataset, batch_size=1):
            images, masks = prepare(batch)
            assert images.shape == masks.shape == (4, 1, 64, 64)
            for patch in images:
                assert float((windows - patch[0]).abs().amax((2, 3)).min()) < 1e-4


@pytest.mark.parametrize("channel_wise", [True, False])
def test_a_change_of_all_grey_values_is_taken_back(channel_wise: bool) -> None:
    image = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 2, 3])[:, None, None]
    case = PictureStatisticsd("image", channel_wise)({"image": image})
    case["image"] = case["image"][:, :16, 8:24]
    case = PatchStatisticsd("image")(case)
    case["image"] = 0.5 * case["image"] + 0.2
    expected = NormalizeIntensityd("image", channel_wise=channel_wise)({"image": image})["image"][:, :16, 8:24]
    made = NormalizeAsPictured("image", channel_wise)(case)["image"]
    assert torch.allclose(made, torch.as_tensor(expected), atol=1e-5)
    batch = {"image": torch.stack([case["image"]] * 2), "label": torch.zeros(2, 1, 16, 16)}
    batch["image_statistics"] = torch.stack([case["image_statistics"]] * 2)
    for one in AugmentedBatch([NormalizeAsPictured("image", channel_wise)])(batch)[0]:
        assert torch.allclose(one, made, atol=1e-5)


@pytest.mark.parametrize("channel_wise", [True, False])
def test_a_picture_that_nothing_was_measured_of_is_whole(channel_wise: bool) -> None:
    images = torch.rand(2, 3, 20, 24, generator=torch.Generator().manual_seed(2))
    expected = NormalizeIntensityd("image", channel_wise=channel_wise)
    ours = NormalizeAsPictured("image", channel_wise)
    together = AugmentedBatch([ours])({"image": images, "label": images})[0]
    for one, image in zip(together, images, strict=True):
        assert torch.allclose(one, torch.as_tensor(expected({"image": image})["image"]), atol=1e-5)
        assert torch.allclose(one, ours({"image": image})["image"], atol=1e-5)


def test_a_picture_without_contrast_stays_finite() -> None:
    chain = Compose([PictureStatisticsd("image"), PatchStatisticsd("image"), NormalizeAsPictured("image")])
    assert torch.equal(chain({"image": torch.full((1, 8, 8), 0.25)})["image"], torch.zeros(1, 8, 8))
