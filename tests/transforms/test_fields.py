from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter1d

from pipeline.transforms.fields import box_blur, position_grid, upsampled


def test_upsampling_keeps_the_corners_and_has_the_size_asked_for() -> None:
    coarse = torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    field = upsampled(coarse, (40, 31))
    assert field.shape == (40, 31)
    assert [float(field[i, j]) for i in (0, -1) for j in (0, -1)] == pytest.approx([0, 2, 3, 5], abs=1e-5)


def test_an_even_grid_gives_an_even_field() -> None:
    assert torch.allclose(upsampled(torch.full((4, 5), 0.3), (17, 23)), torch.full((17, 23), 0.3))


def test_blur_is_two_box_filters_in_each_direction_away_from_the_border() -> None:
    field = np.random.default_rng(0).random((40, 30)).astype(np.float32)
    expected = field
    for axis in (0, 0, 1, 1):
        expected = uniform_filter1d(expected, 7, axis=axis, mode="nearest")
    assert np.allclose(box_blur(torch.from_numpy(field), 3)[6:-6, 6:-6], expected[6:-6, 6:-6], atol=1e-5)


def test_blur_keeps_an_even_field_up_to_the_border_and_a_radius_of_zero_keeps_all() -> None:
    even = torch.full((12, 9), 2.0)
    assert torch.allclose(box_blur(even, 20), even)
    noise = torch.rand(5, 5)
    assert box_blur(noise, 0) is noise


def test_positions_run_from_zero_to_one_along_x_and_y() -> None:
    x, y = position_grid((3, 5))
    assert x[:, 0].tolist() == [0, 0.5, 1]
    assert y[0].tolist() == [0, 0.25, 0.5, 0.75, 1]
