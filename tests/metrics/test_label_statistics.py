"""Sizes and intensities of classes, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.metrics.label_statistics import label_statistics

LABELS = {0: "background", 1: "lung", 2: "heart"}


def test_a_picture_has_areas_and_the_values_within() -> None:
    image = np.array([[1, 2, 3], [4, 5, 60]], np.uint8)
    mask = np.array([[0, 1, 1], [1, 0, 0]], np.uint8)
    lung, heart = label_statistics(image, mask, LABELS, pixel_mm2=0.5)
    assert (lung.name, lung.pixels, lung.slices, lung.area_mm2, lung.volume_ml) == ("lung", 3, 1, 1.5, None)
    assert (lung.mean, lung.minimum, lung.median, lung.maximum) == (3.0, 2.0, 3.0, 4.0)
    assert lung.sd == pytest.approx((2 / 3) ** 0.5)
    assert (heart.pixels, heart.slices, heart.area_mm2, heart.mean, heart.sd) == (0, 0, 0.0, None, None)


def test_a_volume_has_volumes_and_counts_its_slices() -> None:
    mask = np.zeros((4, 3, 5), np.uint8)
    mask[1:3, 1, 2:4] = 2
    hu = np.full(mask.shape, -1000, np.int16)
    hu[1, 1, 2] = 40
    lung, heart = label_statistics(hu, mask, LABELS, voxel_mm3=250.0)
    assert (heart.pixels, heart.slices, heart.volume_ml, heart.area_mm2) == (4, 2, 1.0, None)
    assert heart.mean == (40 - 3000) / 4
    assert lung.volume_ml == 0


def test_unknown_sizes_stay_unknown() -> None:
    (only,) = label_statistics(np.ones((2, 2)), np.ones((2, 2), np.uint8), {0: "background", 1: "lung"})
    assert (only.area_mm2, only.volume_ml, only.pixels) == (None, None, 4)


def test_colours_count_by_their_mean_and_values_that_are_no_number_do_not() -> None:
    image = np.zeros((2, 2, 3), np.float32)
    image[0, 0] = (30, 60, 90)
    image[0, 1, 0] = np.nan
    image[1, 0, 1] = np.inf
    image[1, 1] = 20
    (only,) = label_statistics(image, np.ones((2, 2), np.uint8), {1: "disc"})
    assert (only.pixels, only.mean, only.minimum, only.maximum) == (4, 40.0, 20.0, 60.0)
