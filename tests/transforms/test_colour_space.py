"""Spaces of colours."""

import colorsys

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Resized

from pipeline.errors import InvalidOption
from pipeline.transforms import ToColourSpaced
from pipeline.transforms.colour_space import rgb_to_hsv


def colours() -> torch.Tensor:
    return torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float32)


def test_hue_saturation_and_value_are_those_of_the_standard_library() -> None:
    rgb = colours()
    hsv = rgb_to_hsv(rgb)
    for x in range(6):
        for y in range(5):
            assert hsv[:, x, y].tolist() == pytest.approx(colorsys.rgb_to_hsv(*rgb[:, x, y].tolist()), abs=1e-5)


@pytest.mark.parametrize(("space", "channels"), [("rgb", 3), ("hsv", 3), ("grey", 1)])
def test_a_space_has_its_number_of_channels(space: str, channels: int) -> None:
    assert ToColourSpaced("image", space)({"image": colours()})["image"].shape == (channels, 6, 5)


def test_what_was_done_before_can_still_be_undone() -> None:
    steps = Compose([Resized(keys="image", spatial_size=(12, 10)), ToColourSpaced("image", "hsv")])
    case = steps({"image": MetaTensor(colours())})
    assert steps.inverse(case)["image"].shape == (3, 6, 5)


def test_another_space_is_one_clear_line() -> None:
    with pytest.raises(InvalidOption, match="'lab' is no space of colours here; expected rgb, hsv, grey"):
        ToColourSpaced("image", "lab")
