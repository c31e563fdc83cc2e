"""A window for slices in Hounsfield units."""

import pytest
import torch
from monai.data import MetaTensor

from pipeline.errors import InvalidOption
from pipeline.transforms import HUWindowd


def test_hounsfield_units_become_grey_values_of_the_window() -> None:
    image = torch.tensor([[[-1024.0, -1000.0, -300.0, 400.0, 2000.0]]])
    out = HUWindowd("image", [-1000, 400])({"image": image})["image"]
    assert out.flatten().tolist() == pytest.approx([0, 0, 127.5, 255, 255])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.int16])
def test_pictures_for_the_screen_stay_as_they_are(dtype: torch.dtype) -> None:
    image = torch.arange(0, 250, 10).reshape(1, 5, 5).to(dtype)
    assert HUWindowd("image", [-1000, 400])({"image": image})["image"] is image


def test_whole_numbers_are_taken_and_what_is_known_of_the_picture_stays() -> None:
    image = MetaTensor(torch.full((1, 2, 2), -1000, dtype=torch.int16), meta={"filename_or_obj": "a.dcm"})
    out = HUWindowd("image", [-1000, 400])({"image": image})["image"]
    assert out.meta["filename_or_obj"] == "a.dcm"
    assert out.dtype == torch.float32


@pytest.mark.parametrize("window", [[400, -1000], [0, 0]])
def test_a_window_that_is_none_is_one_clear_line(window: list[float]) -> None:
    with pytest.raises(InvalidOption, match="the darkest value first"):
        HUWindowd("image", window)
