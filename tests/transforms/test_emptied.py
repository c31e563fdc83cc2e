"""Slices without lung, made of slices with lungs."""

from __future__ import annotations

import pytest
import torch

from pipeline.transforms import RandEmptiedd
from pipeline.transforms.emptied import Ellipse, Filling, emptied

TISSUE, LUNG, AIR = 0.6, 0.1, 0.0


def slice_with_lungs(side: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    """A body of tissue with two lungs, and air around it; (1, W, H) each."""
    torch.manual_seed(0)
    x, y = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    body = (x / 0.85) ** 2 + (y / 0.7) ** 2 < 1
    lungs = sum((((x - c) / 0.28) ** 2 + (y / 0.45) ** 2 < 1).int() for c in (-0.4, 0.4)) > 0
    image = torch.full(body.shape, AIR)
    image[body] = TISSUE
    image[lungs] = LUNG
    return (image + 0.01 * torch.randn(body.shape))[None], lungs[None].float()


def filling(*bubbles: Ellipse, dome: Ellipse | None = None) -> Filling:
    return Filling(torch.zeros(3, 3), 0, bubbles, dome)


def test_where_lungs_were_is_tissue_and_all_else_is_as_it_was() -> None:
    image, lungs = slice_with_lungs()
    before = image.clone()
    found = emptied(image, lungs[0].bool(), filling())
    inside = lungs[0].bool()
    assert found[0][inside].mean() == pytest.approx(TISSUE, abs=0.03)
    assert (found[0][inside] > (TISSUE + LUNG) / 2).float().mean() > 0.97  # a soft edge is not all gone
    far = torch.nn.functional.max_pool2d(lungs, 9, 1, 4)[0] == 0
    torch.testing.assert_close(found[0][far], image[0][far])
    torch.testing.assert_close(image, before)


def test_a_bubble_is_as_dark_as_lung_and_lies_within() -> None:
    image, lungs = slice_with_lungs()
    region = lungs[0].bool()
    found = emptied(image, region, filling(Ellipse((0.15, 0.5), (0.15, 0.15))))
    dark = found[0] < (TISSUE + LUNG) / 2
    assert 10 < int((dark & region).sum()) < 0.3 * int(region.sum())
    assert float(found[0][dark & region].min()) == pytest.approx(LUNG, abs=0.05)


def test_a_dome_takes_the_middle_and_leaves_what_is_around_it() -> None:
    image, lungs = slice_with_lungs()
    region = lungs[0].bool()
    made = filling(dome=Ellipse((0.5, 0.5), (0.5, 0.5)))
    part = made.part_of(region)
    assert 0.1 < int(part.sum()) / int(region.sum()) < 0.9 and bool((region | ~part).all())
    found = emptied(image, region, made)
    deep = torch.nn.functional.max_pool2d((~part).float()[None], 5, 1, 2)[0] == 0
    assert found[0][deep].mean() == pytest.approx(TISSUE, abs=0.03)
    left = region & (torch.nn.functional.max_pool2d(part.float()[None], 5, 1, 2)[0] == 0)
    torch.testing.assert_close(found[0][left], image[0][left])


def test_of_a_picture_with_a_dome_the_mask_loses_what_was_filled() -> None:
    image, lungs = slice_with_lungs()
    step = RandEmptiedd("image", prob=1.0, most_bubbles=0, prob_dome=1.0).set_random_state(1)
    results = [step({"image": image, "label": lungs}) for _ in range(20)]
    shares = [float(result["label"].sum() / lungs.sum()) for result in results]
    assert min(shares) < 0.7 and max(shares) > 0.3
    for result in results:
        bright = result["image"][0] > (TISSUE + LUNG) / 2
        assert float((bright & result["label"][0].bool()).float().mean()) < 0.03


def test_without_lungs_or_tissue_around_them_a_picture_stays() -> None:
    image, lungs = slice_with_lungs()
    assert emptied(image, torch.zeros_like(lungs[0]).bool(), filling()) is image
    assert emptied(image, torch.ones_like(lungs[0]).bool(), filling()) is image


@pytest.mark.parametrize(("prob", "expected"), [(0.0, 0), (1.0, 40)])
def test_the_share_of_emptied_pictures_is_what_was_asked_for(prob: float, expected: int) -> None:
    image, lungs = slice_with_lungs(32)
    step = RandEmptiedd("image", prob=prob, prob_dome=0.0).set_random_state(0)
    results = [step({"image": image, "label": lungs}) for _ in range(40)]
    assert sum(not result["label"].any() for result in results) == expected
    assert lungs.any()


def test_other_classes_stay_and_the_same_seed_gives_the_same_picture() -> None:
    image, lungs = slice_with_lungs()
    label = lungs.clone()
    label[0, 46:50, 60:64] = 2
    one, other = (
        RandEmptiedd("image", prob=1.0, prob_dome=0.0).set_random_state(3)({"image": image, "label": label})
        for _ in range(2)
    )
    assert set(one["label"].unique().tolist()) == {0, 2}
    torch.testing.assert_close(one["image"], other["image"])
