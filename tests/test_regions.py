"""Regions of masks against MONAI's own transform."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.transforms import KeepLargestConnectedComponent

from pipeline.regions import only_largest, regions_of, without_small


def blotches(seed: int, classes: int = 4, side: int = 40) -> np.ndarray:
    """Many regions of several classes that touch by edges and corners, of all sizes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, classes, (side // 4, side // 4))
    mask = np.kron(coarse, np.ones((4, 4), int))
    speckled = rng.random(mask.shape) < 0.15
    mask[speckled] = rng.integers(0, classes, int(speckled.sum()))
    return mask.astype(np.uint8)


def by_monai(mask: np.ndarray, **how: object) -> np.ndarray:
    out = KeepLargestConnectedComponent(**how)(torch.from_numpy(mask[np.newaxis].copy()))  # type: ignore[arg-type]
    return np.asarray(out)[0]


@pytest.mark.parametrize("connectivity", [1, 2, None])
@pytest.mark.parametrize("most", [1, 2, 3, 1000])
@pytest.mark.parametrize("independent", [True, False], ids=["each class", "union"])
@pytest.mark.parametrize("labels", [None, [1], [1, 3], [2, 1, 3], [7]], ids=str)
def test_the_regions_that_monai_keeps_are_kept(
    labels: list[int] | None, independent: bool, most: int, connectivity: int | None
) -> None:
    for seed in range(4):
        mask = blotches(seed)
        theirs = by_monai(
            mask, applied_labels=labels, independent=independent, connectivity=connectivity, num_components=most
        )
        ours = only_largest(mask, labels, independent=independent, connectivity=connectivity or 2, most=most)
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == mask.dtype


@pytest.mark.parametrize("count", [2, 3, 9, 20, 100])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_of_regions_of_one_size_the_same_ones_are_kept_as_by_monai(count: int, most: int) -> None:
    mask = np.zeros((60, 60), np.uint8)
    for number in range(count):
        x, y = 5 * (number // 11), 5 * (number % 11)
        mask[x : x + 2, y : y + 2] = 1
    theirs = by_monai(mask, applied_labels=[1], num_components=most)
    assert (theirs > 0).sum() == 4 * min(most, count)
    np.testing.assert_array_equal(only_largest(mask, [1], independent=True, connectivity=2, most=most), theirs)


def test_a_mask_without_the_class_stays_as_it_is() -> None:
    mask = np.zeros((9, 9), np.uint8)
    np.testing.assert_array_equal(only_largest(mask, None, independent=False, connectivity=2, most=1), mask)
    np.testing.assert_array_equal(without_small(mask, [1, 2], 0.5), mask)


def test_what_is_given_is_not_changed() -> None:
    mask = blotches(0)
    before = mask.copy()
    only_largest(mask, None, independent=True, connectivity=2, most=1)
    without_small(mask, [1], 0.5)
    np.testing.assert_array_equal(mask, before)


def test_pixels_that_share_a_corner_are_one_region_by_corners_alone() -> None:
    mask = np.eye(3, dtype=bool)
    assert [len(regions_of(mask, connectivity)[1]) for connectivity in (1, 2)] == [3, 1]
