"""The quicker means beside MONAI's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd, Resized, ScaleIntensityRangePercentilesd, SpatialPadd

from pipeline.transforms import ToSpacingd
from pipeline.transforms.quicker import QuickPercentiles, QuickResize, quicker


def film(channels: int, width: int, height: int) -> MetaTensor:
    x, y = np.mgrid[:width, :height]
    grain = np.random.default_rng([width, height]).random((channels, width, height))
    values = 1000 * ((x // 9 + y // 4) % 2) * 0.5 + 400 * x / width + 300 * grain
    return MetaTensor(torch.from_numpy(values.astype(np.float32)), meta={"spacing_mm": (0.5, 0.8)})


def film_steps() -> Compose:
    resized = Resized("image", spatial_size=96, size_mode="longest", mode="bilinear", anti_aliasing=True)
    percentiles = ScaleIntensityRangePercentilesd("image", 0.5, 99.5, 0.0, 1.0, clip=True)
    return Compose([resized, percentiles, SpatialPadd("image", spatial_size=(96, 96))])


def slice_steps() -> Compose:
    return Compose([ToSpacingd("image", 2.0), SpatialPadd("image", spatial_size=(160, 160))])


@pytest.mark.parametrize("make", [film_steps, slice_steps])
@pytest.mark.parametrize("shape", [(1, 500, 380), (3, 130, 301), (1, 96, 96), (1, 60, 40), (1, 97, 95)])
def test_a_chain_gives_what_it_gave_there_and_back(make: Any, shape: tuple[int, int, int]) -> None:
    stock, quick = make(), quicker(make())
    one, other = stock({"image": film(*shape)}), quick({"image": film(*shape)})
    assert one["image"].shape == other["image"].shape
    spread = float(one["image"].max() - one["image"].min())
    assert torch.allclose(one["image"].as_tensor(), other["image"].as_tensor(), atol=1e-4 * spread)
    back = []
    for chain, case in ((stock, one), (quick, other)):
        case["pred"] = MetaTensor(torch.rand(2, *case["image"].shape[1:], generator=torch.Generator().manual_seed(1)))
        back.append(Invertd("pred", chain, orig_keys="image", nearest_interp=False)(case)["pred"].as_tensor())
    assert back[0].shape == (2, *shape[1:])
    assert torch.equal(*back)


def test_the_quicker_means_are_in_use() -> None:
    resized, percentiles, _ = quicker(film_steps()).transforms
    assert type(resized.resizer) is QuickResize
    assert type(percentiles.scaler) is QuickPercentiles


def test_what_is_no_anti_aliased_bilinear_resizing_is_left_to_monai() -> None:
    for how in ({"mode": "nearest"}, {"mode": "bilinear", "anti_aliasing": True, "anti_aliasing_sigma": 2.0}):
        steps = [Compose([Resized("image", spatial_size=50, size_mode="longest", **how)]) for _ in range(2)]
        one, other = steps[0]({"image": film(1, 200, 100)}), quicker(steps[1])({"image": film(1, 200, 100)})
        assert torch.equal(one["image"].as_tensor(), other["image"].as_tensor())


@pytest.mark.filterwarnings("ignore:Divide by zero")
def test_a_picture_of_one_grey_is_scaled_as_it_was() -> None:
    grey = MetaTensor(torch.full((1, 40, 40), 7.0))
    one, other = (
        chain({"image": grey.clone()})["image"].as_tensor() for chain in (film_steps(), quicker(film_steps()))
    )
    assert torch.equal(one, other)
