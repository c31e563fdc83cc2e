from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

from pipeline.errors import UnsupportedImage
from pipeline.transforms import AsChannelsd


def picture(channels: int, **meta: object) -> MetaTensor:
    generator = torch.Generator().manual_seed(1)
    return MetaTensor(
        torch.rand((channels, 4, 3), generator=generator), affine=torch.diag(torch.arange(1.0, 5)), meta=meta
    )


def test_grey_that_was_stored_as_rgb_keeps_its_values() -> None:
    grey = picture(1)
    out = AsChannelsd("image", channels=1)({"image": grey.repeat(3, 1, 1)})["image"]
    assert torch.allclose(out.as_tensor(), grey.as_tensor(), atol=1e-6)


def test_colour_becomes_luma() -> None:
    primaries = torch.eye(3).reshape(3, 3, 1)
    out = AsChannelsd("image")({"image": primaries})["image"]
    assert out[0, :, 0].tolist() == pytest.approx([0.299, 0.587, 0.114])


def test_whole_numbers_do_not_turn_black() -> None:
    out = AsChannelsd("image")({"image": torch.full((3, 2, 2), 200, dtype=torch.uint8)})["image"]
    assert torch.allclose(out, torch.full((1, 2, 2), 200.0))


def test_grey_becomes_three_equal_channels() -> None:
    grey = picture(1)
    out = AsChannelsd("image", channels=3)({"image": grey})["image"]
    assert out.shape == (3, 4, 3)
    assert all(torch.equal(channel.as_tensor(), grey[0].as_tensor()) for channel in out)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_right_number_of_channels_is_left_alone(channels: int) -> None:
    image = picture(channels)
    assert AsChannelsd("image", channels=channels)({"image": image})["image"] is image


@pytest.mark.parametrize(("has", "wants"), [(3, 1), (1, 3)])
def test_the_metadata_and_the_way_back_survive(has: int, wants: int) -> None:
    image = picture(has, filename_or_obj="a.png", spacing_source="PixelSpacing")
    image.push_applied_operation({"class": "Resized"})
    out = AsChannelsd("image", channels=wants)({"image": image})["image"]
    assert isinstance(out, MetaTensor)
    assert out.meta["filename_or_obj"] == "a.png"
    assert out.meta["spacing_source"] == "PixelSpacing"
    assert torch.equal(out.affine, image.affine)
    assert out.applied_operations == image.applied_operations


def test_other_channels_are_refused_with_the_files_name() -> None:
    with pytest.raises(UnsupportedImage, match=r"^films/a\.tif: The picture has 5 channels; expected 1 .* or 3"):
        AsChannelsd("image")({"image": picture(5, filename_or_obj="films/a.tif")})
    with pytest.raises(UnsupportedImage, match=r"^image: The picture has 2 channels"):
        AsChannelsd("image")({"image": torch.zeros(2, 4, 4)})


def test_a_volume_is_converted_too() -> None:
    assert AsChannelsd("image")({"image": torch.ones(3, 4, 5, 6)})["image"].shape == (1, 4, 5, 6)
