"""Each change of a batch against MONAI's own transform with the same parameters, case by case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import (
    AdjustContrast,
    Affine,
    CenterSpatialCrop,
    Flip,
    GaussianSharpen,
    GaussianSmooth,
    NormalizeIntensity,
    Rand2DElasticd,
    RandAdjustContrastd,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSharpend,
    RandGaussianSmoothd,
    RandHistogramShift,
    RandHistogramShiftd,
    RandRotate90d,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandZoomd,
    Resample,
    Rotate90,
    ScaleIntensity,
    ShiftIntensity,
    Zoom,
)
from monai.transforms.spatial.array import AffineGrid
from monai.transforms.utils import create_control_grid

from pipeline.augmentation import BatchAugmentation
from pipeline.augmentation import drawing as draw
from pipeline.augmentation.blurring import blurred, sharpened
from pipeline.augmentation.intensity import gamma_changed, histograms_shifted, scaled, shifted, standardised
from pipeline.augmentation.subsets import per_case
from pipeline.augmentation.warps import Warp, affine, elastic, flip, resampled, sampling_grid, turn, zoom

Maker = Callable[..., dict[str, torch.Tensor]]
CLOSE = 1e-4
BOTH = ["image", "label"]


def warped(batch: dict[str, torch.Tensor], warps: list[Warp | None], padding: str = "zeros") -> dict[str, torch.Tensor]:
    width, height = batch["image"].shape[2:]
    grid = sampling_grid(warps, (width, height), torch.device("cpu"))
    modes = {"image": "bilinear", "label": "nearest"}
    return {key: resampled(batch[key], grid, mode, padding) for key, mode in modes.items()}


def assert_same_picture(ours: torch.Tensor, theirs: Any) -> None:
    assert float((ours - torch.as_tensor(theirs)).abs().max()) < CLOSE


def assert_same_mask(ours: torch.Tensor, theirs: Any) -> None:
    """But for pixels that lie just between two others, which rounding decides."""
    assert float((ours != torch.as_tensor(theirs)).float().mean()) < 0.002


@pytest.mark.parametrize("axes", [0, 1, None])
def test_flips(batch: Maker, axes: int | None) -> None:
    cases = batch()
    ours = warped(cases, [flip(axes), None, flip(axes)])
    for number in (0, 2):
        for key in BOTH:
            assert_same_picture(ours[key][number], Flip(axes)(cases[key][number]))
    assert_same_picture(ours["image"][1], cases["image"][1])


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_quarter_turns(batch: Maker, quarters: int, axes: tuple[int, int]) -> None:
    cases = batch(width=40, height=40)
    ours = warped(cases, [turn(quarters, axes)] * 3)
    for key in BOTH:
        for number in range(3):
            assert_same_picture(ours[key][number], Rotate90(quarters, axes)(cases[key][number]))


@pytest.mark.parametrize("factors", [(0.71, 0.71), (1.37, 1.37), (0.8, 1.3), (1.0, 1.0), (2.3, 0.55)])
def test_zooms(batch: Maker, factors: tuple[float, float]) -> None:
    cases = batch(width=48, height=41)
    ours = warped(cases, [zoom(factors, (48, 41))] * 3)
    for number in range(3):
        theirs = Zoom(factors, mode="bilinear", padding_mode="constant")(cases["image"][number])
        assert_same_picture(ours["image"][number], theirs)
        # MONAI's "nearest" is torch's, which is half a pixel off; "nearest-exact" lies where the picture lies.
        theirs = Zoom(factors, mode="nearest-exact", padding_mode="constant")(cases["label"][number])
        assert_same_mask(ours["label"][number], theirs)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_affine_changes(batch: Maker, padding: str) -> None:
    cases = batch()
    parameters = [
        ([0.4], [0.1, -0.05], [3.0, -5.5], [1.1, 0.9]),
        ([-0.2], [], [], [0.7, 0.8]),
        ([], [], [2.3, 0.0], []),
    ]
    ours = warped(cases, [affine(*one) for one in parameters], padding)
    for number, (rotate, shear, translate, scale) in enumerate(parameters):
        for key, mode in (("image", "bilinear"), ("label", "nearest")):
            change = Affine(
                rotate or None, shear or None, translate or None, scale or None, mode=mode, padding_mode=padding,
                image_only=True,
            )  # fmt: skip
            same = assert_same_picture if key == "image" else assert_same_mask
            same(ours[key][number], change(cases[key][number]))


def test_elastic_deformation_with_an_affine_part(batch: Maker) -> None:
    cases = batch()
    shape, spacing = (48, 40), (12, 12)
    size = create_control_grid(shape, spacing, homogeneous=False).shape[1:]
    offsets = 1.7 * np.random.default_rng(1).normal(size=(2, *size)).astype(np.float32)
    ours = warped(cases, [elastic(offsets, spacing, affine([0.3], [], [2.0, 1.0], [1.1, 0.95]))] * 3)
    control = create_control_grid(shape, spacing, backend="torch").float()
    control[:2] += torch.from_numpy(offsets)
    changed, _ = AffineGrid(rotate_params=[0.3], translate_params=[2.0, 1.0], scale_params=[1.1, 0.95])(grid=control)
    grid = torch.nn.functional.interpolate(
        changed[None], scale_factor=[12.0, 12.0], mode="bicubic", align_corners=False, recompute_scale_factor=True
    )
    grid = CenterSpatialCrop(shape)(grid[0])
    for number in range(3):
        theirs = Resample(mode="bilinear", padding_mode="zeros")(cases["image"][number], grid)
        assert_same_picture(ours["image"][number], theirs)


def test_several_changes_of_shape_are_where_one_after_the_other_puts_them(batch: Maker) -> None:
    """Interpolated once they differ from MONAI's in sharpness, so these are pictures that interpolation leaves."""
    x, y = torch.meshgrid(torch.arange(60.0), torch.arange(50.0), indexing="ij")
    cases = {"image": torch.stack([x, y]).expand(1, 2, 60, 50).contiguous()}
    steps = [flip(0), zoom((1.2, 1.2), (60, 50)), affine([0.2], [0.05, 0.0], [1.0, 2.0], [1.05, 0.95])]
    whole = Warp(steps[0].matrix @ steps[1].matrix @ steps[2].matrix)
    ours = resampled(cases["image"], sampling_grid([whole], (60, 50), torch.device("cpu")), "bilinear", "border")[0]
    theirs = Zoom(1.2, mode="bilinear")(Flip(0)(cases["image"][0]))
    theirs = Affine([0.2], [0.05, 0.0], [1.0, 2.0], [1.05, 0.95], padding_mode="border", image_only=True)(theirs)
    inside = (slice(None), slice(20, 40), slice(15, 35))
    assert float((ours[inside] - torch.as_tensor(theirs)[inside]).abs().max()) < 1e-3


@pytest.mark.parametrize("exponents", [(0.5, 1.0, 2.1)])
def test_gamma(batch: Maker, exponents: tuple[float, ...]) -> None:
    images = batch()["image"] * 3 - 1
    ours = gamma_changed(images, per_case(exponents, images))
    for one, image, exponent in zip(ours, images, exponents, strict=True):
        assert_same_picture(one, AdjustContrast(exponent)(image))


def test_scales_and_shifts_of_pictures_and_of_channels(batch: Maker) -> None:
    images = batch(channels=3)["image"]
    factors = torch.tensor([[0.1, -0.2, 0.3]] * 3)[:, :, None, None]
    for number in range(3):
        for channel, factor in enumerate((0.1, -0.2, 0.3)):
            image = images[number, channel : channel + 1]
            theirs = ScaleIntensity(minv=None, maxv=None, factor=factor)(image)
            assert_same_picture(scaled(images, factors)[number, channel], theirs[0])
            assert_same_picture(shifted(images, factors)[number, channel], ShiftIntensity(factor)(image)[0])


def test_histogram_shifts_with_different_numbers_of_points(batch: Maker) -> None:
    images = batch()["image"] * 2 - 0.5
    curves = []
    for number, points in enumerate((5, 8, 10)):
        shift = RandHistogramShift(num_control_points=points, prob=1.0).set_random_state(number)
        shift.randomize()
        curves.append((shift, np.asarray(shift.floating_control_points)))
    ours = histograms_shifted(images, [curve for _, curve in curves])
    for one, image, (shift, _) in zip(ours, images, curves, strict=True):
        assert_same_picture(one, shift(image, randomize=False))


def test_a_histogram_shift_leaves_an_even_picture() -> None:
    even = torch.full((1, 1, 8, 8), 0.4)
    assert torch.allclose(histograms_shifted(even, [np.linspace(0, 1, 5) ** 2]), even)


@pytest.mark.parametrize("approx", ["erf", "sampled"])
def test_blur_with_different_widths(batch: Maker, approx: str) -> None:
    images = batch(channels=2)["image"]
    sigmas = [(0.3, 1.5), (1.0, 0.4), (2.2, 2.2)]
    for one, image, sigma in zip(blurred(images, sigmas, approx), images, sigmas, strict=True):
        assert_same_picture(one, GaussianSmooth(sigma, approx=approx)(image))


def test_sharpening(batch: Maker) -> None:
    images = batch()["image"]
    first, second, amounts = (
        [(0.6, 0.9), (0.5, 0.5), (1.0, 0.8)],
        [(0.5, 0.7), (0.5, 0.5), (0.9, 0.6)],
        [12.0, 30.0, 20.0],
    )
    ours = sharpened(images, first, second, per_case(amounts, images))
    for number, image in enumerate(images):
        theirs = GaussianSharpen(first[number], second[number], amounts[number])(image)
        assert float((ours[number] - torch.as_tensor(theirs)).abs().max()) < 1e-3  # values up to 30 times as large


@pytest.mark.parametrize("by_channel", [False, True])
def test_normalisation(batch: Maker, by_channel: bool) -> None:
    images = batch(channels=3)["image"]
    images[1, 2] = 0.25  # a channel without any spread
    for one, image in zip(standardised(images, by_channel=by_channel), images, strict=True):
        assert_same_picture(one, NormalizeIntensity(channel_wise=by_channel)(image.clone()))


def test_what_is_drawn_is_what_the_transform_has_drawn() -> None:
    """The parameters are read off MONAI's objects, whose attributes another version might rename."""
    shape = (1, 64, 48)
    zoomed = RandZoomd(BOTH, prob=1.0, min_zoom=1.25, max_zoom=1.25, mode="nearest", padding_mode="constant")
    assert np.allclose(draw.draw_zoom(zoomed, shape).matrix, zoom((1.25, 1.25), (64, 48)).matrix)
    moved = RandAffined(
        BOTH, prob=1.0, rotate_range=[(0.3, 0.3)], translate_range=[(4, 4), (2, 2)], scale_range=[(0.1, 0.1)] * 2
    )
    assert np.allclose(draw.draw_affine(moved, shape).matrix, affine([0.3], [], [4, 2], [1.1, 1.1]).matrix)
    bent = draw.draw_elastic(Rand2DElasticd(BOTH, spacing=(16, 16), magnitude_range=(2, 2), prob=1.0), shape)
    assert bent.elastic.offsets.shape == (2, *create_control_grid((64, 48), (16, 16), homogeneous=False).shape[1:])
    assert 1.2 < bent.elastic.offsets.std() < 2.8
    assert np.array_equal(draw.draw_flip(RandFlipd(BOTH, prob=1.0, spatial_axis=1), shape).matrix, flip(1).matrix)
    assert np.array_equal(draw.draw_turn(RandRotate90d(BOTH, prob=1.0, max_k=1), (1, 64, 64)).matrix, turn(1).matrix)
    assert draw.draw_gamma(RandAdjustContrastd("image", prob=1.0, gamma=(1.5, 1.5)), shape) == 1.5
    scales = RandScaleIntensityd("image", prob=1.0, factors=(0.2, 0.2))
    assert draw.draw_factors("factor")(scales, shape) == pytest.approx([0.2])
    offsets = RandShiftIntensityd("image", prob=1.0, offsets=(0.1, 0.3), channel_wise=True).set_random_state(0)
    drawn = draw.draw_factors("_offset")(offsets, (3, 8, 8))
    assert drawn.shape == (3,) and len(set(drawn.tolist())) == 3 and 0.1 <= drawn.min() <= drawn.max() <= 0.3
    assert len(draw.draw_histogram(RandHistogramShiftd("image", num_control_points=6, prob=1.0), shape)) == 6
    smooth = RandGaussianSmoothd("image", sigma_x=(0.7, 0.7), sigma_y=(0.9, 0.9), prob=1.0)
    assert draw.draw_smoothing(smooth, shape) == (0.7, 0.9)
    sharp = RandGaussianSharpend("image", alpha=(11.0, 11.0), prob=1.0)
    assert draw.draw_sharpening(sharp, shape)[2] == 11.0
    noise = RandGaussianNoised("image", prob=1.0, mean=0.5, std=0.2, sample_std=False)
    assert draw.draw_noise(noise, shape)[:2] == (0.5, 0.2)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("flip", lambda p: RandFlipd(BOTH, prob=p, spatial_axis=0)),
        ("zoom", lambda p: RandZoomd(BOTH, prob=p, mode=["bilinear", "nearest"], padding_mode="constant")),
        (
            "affine",
            lambda p: RandAffined(BOTH, prob=p, rotate_range=0.3, mode=["bilinear", "nearest"], padding_mode="zeros"),
        ),
        ("gamma", lambda p: RandAdjustContrastd("image", prob=p)),
        ("noise", lambda p: RandGaussianNoised("image", prob=p)),
        ("smooth", lambda p: RandGaussianSmoothd("image", prob=p)),
        ("histogram", lambda p: RandHistogramShiftd("image", prob=p)),
    ],
)
def test_a_probability_is_the_share_of_cases(batch: Maker, name: str, make: Callable[[float], Any]) -> None:
    cases = batch(count=200, width=12, height=12)
    changed = BatchAugmentation([make(0.3)]).set_random_state(5)(cases)
    share = float((changed["image"] != cases["image"]).flatten(1).any(dim=1).float().mean())
    assert 0.2 < share < 0.4, name
    for probability, expected in ((0.0, 0.0), (1.0, 1.0)):
        changed = BatchAugmentation([make(probability)]).set_random_state(1)(batch(count=4))
        moved = (changed["image"] - batch(count=4)["image"]).flatten(1).abs().amax(dim=1) > 1e-6
        assert float(moved.float().mean()) == expected, name


def test_noise_has_its_mean_and_deviation_and_differs_from_case_to_case() -> None:
    cases = {"image": torch.zeros(4, 1, 64, 64)}
    noisy = BatchAugmentation([RandGaussianNoised("image", prob=1.0, mean=0.3, std=0.2, sample_std=False)])(cases)
    for one in noisy["image"]:
        assert float(one.mean()) == pytest.approx(0.3, abs=0.02)
        assert float(one.std()) == pytest.approx(0.2, abs=0.02)
    assert not torch.equal(noisy["image"][0], noisy["image"][1])
