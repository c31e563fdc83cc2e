"""Areas, objects, holes, boundaries, places and directions of regions that can be counted by hand."""

import math

import numpy as np
import pytest

from pipeline.fingerprint.regions import boundary_length, classes_inside, filled, measure_region


def drawn(*rows):
    """A picture as a viewer shows it, indexed x first."""
    return np.array([[int(mark) for mark in row] for row in rows], np.uint8).T


def measured(classes, index=1):
    return measure_region(classes == index, classes == 0)


def test_diagonal_neighbours_are_one_object():
    region = measured(drawn("1100", "0010", "0000", "1000"))
    assert region.area == 4
    assert (region.n_objects, region.largest) == (2, 3)
    np.testing.assert_array_equal(region.objects, [1, 3])


def test_a_hole_is_background_that_the_class_encloses():
    region = measured(drawn("11111", "10121", "11111", "00000"))
    assert region.hole_area == 1  # the 2 is a class of its own


def test_a_gap_at_the_corner_is_no_way_out_of_a_hole():
    assert measured(drawn("0110", "1001", "0110")).hole_area == 2
    np.testing.assert_array_equal(filled(drawn("010", "101", "010") > 0), drawn("010", "111", "010") > 0)


def test_a_bay_is_no_hole():
    assert measured(drawn("111", "101", "101")).hole_area == 0


def test_centroid_is_a_share_of_the_sides():
    assert measured(drawn("0000", "0001")).centroid == pytest.approx((3.5 / 4, 1.5 / 2))


@pytest.mark.parametrize(
    ("side", "touches"), [((0, 2), True), ((4, 2), True), ((2, 0), True), ((2, 4), True), ((2, 2), False)]
)
def test_the_edge_is_touched_on_any_side(side, touches):
    region = np.zeros((5, 5), bool)
    region[side] = True
    assert measure_region(region, ~region).touches_border is touches


@pytest.mark.parametrize("degrees", [0, 30, 90, 150])
def test_the_axis_is_the_longest_extent(degrees):
    x, y = np.meshgrid(np.arange(81) - 40, np.arange(81) - 40, indexing="ij")
    angle = math.radians(degrees)
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    region = measure_region((along / 30) ** 2 + (across / 10) ** 2 <= 1, np.zeros((81, 81), bool))
    assert math.cos(2 * (region.axis_rad - angle)) == pytest.approx(1, abs=1e-3)
    assert region.elongation == pytest.approx((30**2 - 10**2) / (30**2 + 10**2), rel=0.01)


def test_a_disc_has_no_direction_and_the_boundary_of_a_circle():
    x, y = np.meshgrid(np.arange(101) - 50, np.arange(101) - 50, indexing="ij")
    region = measure_region(x**2 + y**2 <= 40**2, np.zeros((101, 101), bool))
    assert region.elongation < 1e-6
    assert region.boundary_px == pytest.approx(2 * math.pi * 40, rel=0.02)


def test_the_edge_of_the_picture_is_no_boundary():
    half = np.zeros((40, 30), bool)
    half[:20] = True
    assert boundary_length(half) == pytest.approx(30, rel=0.08)
    assert boundary_length(np.ones((9, 9), bool)) == 0


def test_an_empty_region_has_no_measures():
    assert measured(drawn("000", "000")) is None


def test_a_cup_lies_inside_its_rim_and_not_the_other_way_round():
    assert classes_inside(drawn("11111", "12221", "11111"), [1, 2]) == [(2, 1)]
    assert classes_inside(drawn("11122", "11122", "11122"), [1, 2]) == []
    assert classes_inside(drawn("111", "111"), [1]) == []
