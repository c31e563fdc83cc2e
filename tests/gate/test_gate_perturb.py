"""Views: a picture and its mask move together, whatever the picture's proportions."""

import numpy as np
import pytest
import torch

from pipeline.gate import VIEWS, View
from pipeline.gate.perturb import brightened, moved, rescaled


def disc(width: int, height: int, radius: float, x: float = 0.0, y: float = 0.0) -> torch.Tensor:
    """A disc off the middle by (x, y) pixels, (1, 1, W, H)."""
    across = torch.arange(width)[:, None] - (width - 1) / 2 - x
    down = torch.arange(height)[None] - (height - 1) / 2 - y
    return ((across**2 + down**2) <= radius**2).float()[None, None]


def test_the_view_that_changes_nothing_gives_the_picture_back() -> None:
    image = torch.randn(2, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(View(1.0, 0.0, 1.0).apply(image), image, atol=1e-4, rtol=1e-4)
    mask = (image[:, 0] > 0).long()
    assert torch.equal(View(1.0, 0.0, 1.0).move(mask), mask)


@pytest.mark.parametrize("size", [(80, 80), (60, 120), (121, 64)])
def test_a_disc_stays_a_disc_of_the_wanted_size(size: tuple[int, int]) -> None:
    out = moved(disc(*size, 15), 1.4, 30.0)
    assert float(out.sum()) == pytest.approx(np.pi * (15 * 1.4) ** 2, rel=0.02)
    columns, rows = (out[0, 0] > 0.5).any(1).sum(), (out[0, 0] > 0.5).any(0).sum()
    assert abs(int(columns) - int(rows)) <= 1


def test_a_quarter_turn_is_the_arrays_own() -> None:
    image = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(1))
    turned = moved(image, 1.0, 90.0)
    assert torch.allclose(turned, torch.rot90(image, 1, (2, 3)), atol=1e-4) or torch.allclose(
        turned, torch.rot90(image, -1, (2, 3)), atol=1e-4
    )


def test_turning_back_brings_everything_back() -> None:
    image = disc(90, 70, 9, x=12, y=-6)
    back = moved(moved(image, 0.8, 25.0), 1 / 0.8, -25.0)
    both = float(((back > 0.5) & (image > 0.5)).sum())
    assert 2 * both / float((back > 0.5).sum() + (image > 0.5).sum()) > 0.95


@pytest.mark.parametrize("view", VIEWS)
def test_a_mask_moves_as_its_picture_does(view: View) -> None:
    mask = disc(96, 72, 16, x=8, y=5)
    found = (view.apply(mask)[:, 0] > 0.5 * float(view.apply(mask).max())).long()
    expected = view.move(mask[:, 0].long())
    assert 2 * int((found & expected).sum()) / int(found.sum() + expected.sum()) > 0.95


def test_a_view_keeps_each_channels_mean_and_spread() -> None:
    image = (
        torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(2)) * torch.tensor([1.0, 5, 9])[:, None, None]
    )
    out = VIEWS[0].apply(image)
    torch.testing.assert_close(out.mean(dim=(2, 3)), image.mean(dim=(2, 3)), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(out.std(dim=(2, 3)), image.std(dim=(2, 3)), atol=1e-4, rtol=1e-4)


def test_a_picture_of_one_value_stays_finite() -> None:
    image = torch.full((1, 1, 16, 16), 3.0)
    for view in VIEWS:
        assert torch.isfinite(view.apply(image)).all()
    assert torch.isfinite(brightened(image, 0.5)).all()
    assert torch.isfinite(rescaled(image, image)).all()
