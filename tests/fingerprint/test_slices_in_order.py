"""A stack of slices is told from pictures in any order."""

import numpy as np
import pytest
from scipy import ndimage

from pipeline.fingerprint import order_of, thumbnail


def stack(depth):
    volume = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=(depth, 120, 120)), (1.5, 3, 3))
    return np.stack([thumbnail(part) for part in volume.astype(np.float32)])


def test_slices_are_a_stack_and_neighbours_across_the_split_are_named():
    order = order_of(stack(14), np.array([0] * 6 + [1] * 4 + [0] * 4))
    assert order.stacked
    assert order.neighbours > order.others + 0.2
    assert [pair[:2] for pair in order.across] == [(5, 6), (9, 10)]


def test_the_same_slices_in_another_order_are_none():
    order = order_of(stack(14)[np.random.default_rng(0).permutation(14)], np.zeros(14, int))
    assert not order.stacked
    assert order.across == ()


def test_pictures_of_different_things_are_no_stack(textured):
    pictures = np.stack([thumbnail(textured(k)) for k in range(12)])
    order = order_of(pictures, np.arange(12) % 2)
    assert not order.stacked
    assert 0.2 < order.above < 0.8


@pytest.mark.parametrize("depth", [0, 1, 7])
def test_few_pictures_say_nothing(depth):
    assert order_of(np.zeros((depth, 96, 96), np.uint8), np.zeros(depth, int)) is None
