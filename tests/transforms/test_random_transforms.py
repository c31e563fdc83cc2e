"""What all our random transforms have in common, and what each of them changes and leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import CacheDataset, MetaTensor
from monai.transforms import Compose, MapTransform, Randomizable
from scipy.ndimage import binary_dilation

from pipeline.transforms import (
    RandCollimationd,
    RandDevicesd,
    RandExposureFieldd,
    RandLocalContrastd,
    RandLungOpacityd,
)
from pipeline.transforms.collimation import collimate
from pipeline.transforms.devices import KINDS, draw_devices
from pipeline.transforms.exposure import apply_exposure
from pipeline.transforms.local_contrast import enhance_local_contrast
from pipeline.transforms.opacity import Opacity, add_opacity

Maker = Callable[..., Any]
ALL: dict[str, Maker] = {
    "opacity": RandLungOpacityd,
    "exposure": RandExposureFieldd,
    "local_contrast": RandLocalContrastd,
    "devices": RandDevicesd,
    "collimation": RandCollimationd,
}
WIDTH, HEIGHT = 96, 80


def film(seed: int = 0) -> dict[str, torch.Tensor]:
    """Bright tissue, two dark lungs, black margins of 6 pixels, some noise; indexed [x, y], values 0 to 1."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT), indexing="ij")
    lungs = np.zeros((WIDTH, HEIGHT), bool)
    for centre in (30, 66):
        lungs |= ((x - centre) / 12) ** 2 + ((y - 40) / 24) ** 2 < 1
    image = np.where(lungs, 0.25, 0.7) + np.random.default_rng(seed).normal(0, 0.02, lungs.shape)
    image[(x < 6) | (x >= WIDTH - 6) | (y < 6) | (y >= HEIGHT - 6)] = 0
    return {
        "image": torch.from_numpy(image.clip(0, 1).astype(np.float32))[None],
        "label": torch.from_numpy(lungs.astype(np.float32))[None],
    }


LUNGS = film()["label"][0].numpy() > 0


def seeded(name: str, seed: int, **options: Any) -> Any:
    return ALL[name](keys="image", **options).set_random_state(seed)


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_film_and_another_seed_another(name: str) -> None:
    def run(seed: int) -> list[torch.Tensor]:
        transform = seeded(name, seed, prob=1.0)
        return [transform(film())["image"] for _ in range(4)]

    first, second, other = run(3), run(3), run(4)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("name", ALL)
def test_a_compose_seeds_it(name: str) -> None:
    results = [Compose([ALL[name](keys="image", prob=1.0)]).set_random_state(5)(film())["image"] for _ in range(2)]
    assert torch.equal(*results)


@pytest.mark.parametrize("name", ALL)
def test_probability_zero_is_the_identity(name: str) -> None:
    case, transform = film(), seeded(name, 0, prob=0.0)
    for _ in range(5):
        out = transform(case)
        assert out["image"] is case["image"]
        assert out["label"] is case["label"]


@pytest.mark.parametrize("name", ALL)
def test_the_probability_is_kept(name: str) -> None:
    case, transform = film(), seeded(name, 1, prob=0.3)
    changed = sum(transform(case)["image"] is not case["image"] for _ in range(200))
    assert 40 <= changed <= 80


@pytest.mark.parametrize("name", ALL)
def test_fifty_draws_stay_finite_with_size_and_type_and_leave_the_input(name: str) -> None:
    case, transform = film(), seeded(name, 2, prob=1.0)
    before = {key: value.clone() for key, value in case.items()}
    for _ in range(50):
        out = transform(case)
        assert out["image"].shape == (1, WIDTH, HEIGHT)
        assert out["image"].dtype == torch.float32
        assert torch.isfinite(out["image"]).all()
        assert out["image"].abs().max() < 5
        assert all(torch.equal(case[key], before[key]) for key in case)


@pytest.mark.parametrize("name", [name for name in ALL if name != "collimation"])
def test_the_mask_is_left(name: str) -> None:
    case, transform = film(), seeded(name, 3, prob=1.0)
    assert all(transform(case)["label"] is case["label"] for _ in range(10))


@pytest.mark.parametrize("name", ALL)
def test_the_draw_alone_decides_and_applying_draws_nothing(name: str) -> None:
    transform = seeded(name, 4, prob=1.0)
    transform.randomize()
    transform.randomize = lambda data=None: None
    state = transform.R.get_state()[1].copy()
    assert torch.equal(transform(film())["image"], transform(film())["image"])
    assert np.array_equal(transform.R.get_state()[1], state)


@pytest.mark.parametrize("name", ALL)
def test_all_pictures_of_a_case_get_the_same_change(name: str) -> None:
    transform = ALL[name](keys=["image", "second"], prob=1.0).set_random_state(5)
    out = transform({**film(), "second": film()["image"]})
    assert torch.equal(out["image"], out["second"])


@pytest.mark.parametrize("name", ALL)
def test_a_missing_picture_is_passed_over_where_that_is_allowed(name: str) -> None:
    transform = ALL[name](keys=["image", "second"], prob=1.0, allow_missing_keys=True).set_random_state(6)
    assert not torch.equal(transform(film())["image"], film()["image"])
    with pytest.raises(KeyError, match="second"):
        ALL[name](keys=["image", "second"], prob=1.0).set_random_state(6)(film())


@pytest.mark.parametrize("name", ALL)
def test_a_cache_draws_anew_each_epoch(name: str) -> None:
    transform = ALL[name](keys="image", prob=1.0)
    assert isinstance(transform, Randomizable)
    assert isinstance(transform, MapTransform)
    data = CacheDataset([film()], Compose([transform]).set_random_state(0), progress=False)
    assert not torch.equal(data[0]["image"], data[0]["image"])


@pytest.mark.parametrize("name", ALL)
def test_a_metatensor_keeps_its_metadata(name: str) -> None:
    case = {key: MetaTensor(value, meta={"filename_or_obj": "a.png"}) for key, value in film().items()}
    out = seeded(name, 8, prob=1.0)(case)
    assert out["image"].meta["filename_or_obj"] == "a.png"
    assert not torch.equal(out["image"].as_tensor(), case["image"].as_tensor())


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 200)])
@pytest.mark.parametrize("name", ALL)
def test_tiny_and_narrow_pictures_are_no_trouble(name: str, shape: tuple[int, int]) -> None:
    transform = seeded(name, 9, prob=1.0)
    case = {"image": torch.rand(1, *shape), "label": (torch.rand(1, *shape) > 0.5).float()}
    for _ in range(10):
        assert torch.isfinite(transform(case)["image"]).all()


# --- opacity ---


def dense(**changes: Any) -> Opacity:
    """An opacity that fills both lungs."""
    settings: dict[str, Any] = {
        "cloud": torch.full((3, 3), 5.0),
        "cover": 0.0,
        "ramp": None,
        "sides": (1.0, 1.0),
        "strength": 1.0,
        "brightness": 0.5,
        "texture": 0.0,
        "softness": 0.02,
    }
    return Opacity(**{**settings, **changes})


def opaque(**changes: Any) -> np.ndarray:
    """How much brighter each pixel became."""
    case = film()
    changed = add_opacity(case["image"], torch.from_numpy(LUNGS), dense(**changes)) - case["image"]
    return changed[0].numpy()


def test_an_opacity_changes_the_lungs_and_a_soft_rim_and_nothing_else() -> None:
    transform, case = seeded("opacity", 10, prob=1.0), film()
    reach = 2 * round(0.05 * HEIGHT)  # two passes of a box of the greatest softness
    outside = ~binary_dilation(LUNGS, np.ones((3, 3)), iterations=reach)
    assert outside.any()
    for _ in range(30):
        change = (transform(case)["image"] - case["image"])[0].numpy()
        assert np.abs(change[outside]).max() < 1e-6
        assert np.abs(change[LUNGS]).max() > 0


def test_a_dense_opacity_makes_lung_as_bright_as_tissue_up_to_the_outline() -> None:
    bright = film()["image"][0].numpy() + opaque()
    assert np.abs(bright[LUNGS] - 0.7).max() < 0.06


def test_an_opacity_of_no_strength_changes_nothing() -> None:
    assert np.abs(opaque(strength=0.0)).max() < 1e-6


def test_a_ramp_lies_at_the_base_or_at_the_apex_by_its_sign() -> None:
    rows = np.arange(HEIGHT)
    upper, lower = LUNGS & (rows < 32), LUNGS & (rows > 48)
    base, apex = (opaque(ramp=(0.5, steepness)) for steepness in (25.0, -25.0))
    assert base[lower].mean() > 2 * base[upper].mean()
    assert apex[upper].mean() > 2 * apex[lower].mean()


def test_sides_weigh_the_left_and_the_right_of_the_picture() -> None:
    columns = np.arange(WIDTH)[:, None]
    change = opaque(sides=(1.0, 0.0))
    assert change[LUNGS & (columns < 40)].mean() > 0.3
    assert change[LUNGS & (columns > 56)].max() < 0.02


def test_texture_lets_the_lungs_pattern_through() -> None:
    pattern = film()["image"][0].numpy()
    plain, textured = (pattern + opaque(texture=texture) for texture in (0.0, 0.6))
    inner = ~binary_dilation(~LUNGS, iterations=4)
    assert textured[inner].std() > 3 * plain[inner].std()


@pytest.mark.parametrize("mask", [torch.zeros(WIDTH, HEIGHT), torch.ones(WIDTH, HEIGHT)])
def test_without_lungs_or_without_tissue_a_film_stays(mask: torch.Tensor) -> None:
    image = film()["image"]
    assert add_opacity(image, mask.bool(), dense()) is image


def test_the_lung_classes_are_the_ones_that_become_opaque() -> None:
    case = film()
    halves = case["label"].clone()
    halves[:, WIDTH // 2 :] *= 2
    transform = seeded("opacity", 11, prob=1.0, lung_classes=[2])
    change = sum((transform({**case, "label": halves})["image"] - case["image"]).abs()[0].numpy() for _ in range(10))
    columns = np.arange(WIDTH)[:, None]
    assert change[LUNGS & (columns > 56)].mean() > 0.1
    assert change[LUNGS & (columns < 40)].max() < 1e-6


# --- exposure ---


def test_black_borders_stay_black_under_exposure() -> None:
    case, transform = film(), seeded("exposure", 12, prob=1.0, gain=1.0, offset=0.5)
    black = case["image"] == 0
    for _ in range(30):
        assert (transform(case)["image"][black] == 0).all()


def test_even_fields_are_a_plain_gain_and_shift() -> None:
    image = torch.full((1, 8, 9), 0.25)
    out = apply_exposure(image, torch.full((2, 2), np.log(2.0)), torch.full((3, 3), 0.1))
    assert torch.allclose(out, torch.full_like(image, 0.25 * 2 + 0.1 * 0.5), atol=1e-6)


def test_exposure_changes_slowly_from_place_to_place() -> None:
    flat = {"image": torch.full((1, 128, 128), 0.5), "label": torch.zeros(1, 128, 128)}
    transform = seeded("exposure", 13, prob=1.0)
    for _ in range(20):
        out = transform(flat)["image"]
        steps = max(float(out.diff(dim=1).abs().max()), float(out.diff(dim=2).abs().max()))
        assert steps < 0.25 * float(out.max() - out.min()) + 1e-6


# --- local contrast ---


def test_local_contrast_of_amount_zero_is_the_identity_and_an_even_film_stays_even() -> None:
    image = film()["image"]
    assert torch.equal(enhance_local_contrast(image, 5, 0.0), image)
    even = torch.full((1, 30, 20), 0.4)
    assert torch.allclose(enhance_local_contrast(even, 6, 0.9), even, atol=1e-6)


def test_local_contrast_flattens_the_slow_and_keeps_the_quick() -> None:
    ramp = torch.linspace(0, 1, 200)[None, :, None].expand(1, 200, 40)
    ripple = 0.05 * torch.sin(torch.arange(200) * np.pi / 2)[None, :, None].expand(1, 200, 40)
    flat = enhance_local_contrast(ramp + ripple, 10, 0.9)[0, 40:160]
    slow = flat.reshape(-1, 4, 40).mean(dim=1)
    assert float(slow.max() - slow.min()) < 0.15 * 0.6
    quick = flat[1:-1] - (flat[:-2] + flat[2:]) / 2
    assert float(quick.abs().max()) == pytest.approx(0.05, rel=0.05)


# --- devices ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_is_drawn_where_it_was_put_and_nowhere_else(kind: str) -> None:
    points = [(0.5, 0.5), (0.7, 0.5)]
    image = torch.zeros(1, 100, 60)
    out = draw_devices(image, [(kind, points, 0.2, 1.0, 1.0, 0, "AB")])
    marked = out[0].nonzero()
    assert len(marked)
    assert not image.any()
    (x0, y0), (x1, y1) = marked.min(dim=0).values.tolist(), marked.max(dim=0).values.tolist()
    assert (x0 >= 44, x1 <= 72, y0 >= 24, y1 <= 48) == (True, True, True, True)
    assert 0 < float(out.max()) <= 1


def test_a_device_blends_by_its_opacity_and_may_be_dark() -> None:
    image = torch.full((1, 40, 40), 0.5)
    plate = ("plate", [(0.25, 0.25), (0.5, 0.5)], 0.5, 0.0, 0.4, 0, "")
    assert float(draw_devices(image, [plate]).min()) == pytest.approx(0.3)


# --- collimation ---


def test_margins_are_left_right_top_and_bottom() -> None:
    out = collimate(torch.full((1, 10, 8), 0.5), (1, 2, 3, 0), 0.9)[0]
    assert float(out[1:8, 3:].min()) == float(out[1:8, 3:].max()) == 0.5
    assert int((out == np.float32(0.9)).sum()) == 80 - 7 * 5


def test_what_the_blades_cover_is_no_longer_labelled_and_the_rest_still_is() -> None:
    case = {"image": torch.full((1, 100, 50), 0.5), "label": torch.ones(1, 100, 50)}
    transform = seeded("collimation", 14, prob=1.0, most=0.4)
    cut = 0
    for _ in range(40):
        out = transform(case)
        covered = out["image"] != 0.5
        assert torch.equal(out["label"] == 0, covered)
        assert torch.equal(case["label"], torch.ones(1, 100, 50))
        cut += bool(covered.any())
    assert cut > 30


def test_borders_are_black_or_nearly_white() -> None:
    transform, case = seeded("collimation", 15, prob=1.0), {"image": torch.full((1, 60, 60), 0.5)}
    found = set()
    for _ in range(60):
        out = transform({**case, "label": torch.ones(1, 60, 60)})["image"]
        found |= {"black" if v == 0 else "white" for v in out[out != 0.5].unique().tolist() if v == 0 or v >= 0.8}
        assert ((out == 0) | (out == 0.5) | (out >= 0.8)).all()
    assert found == {"black", "white"}


def test_margins_that_meet_cover_the_whole_picture() -> None:
    assert (collimate(torch.ones(1, 10, 10), (6, 6, 0, 0), 0.0) == 0).all()


def test_collimation_without_a_mask_works_where_missing_keys_are_allowed() -> None:
    transform = ALL["collimation"](keys="image", prob=1.0, allow_missing_keys=True).set_random_state(16)
    assert "label" not in transform({"image": film()["image"]})
