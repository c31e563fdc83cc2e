"""Rays through convexes: hand-computed chords, and sampling as the independent check."""

import numpy as np
import pytest

from pipeline.phantom.quadrics import (
    bounds,
    contains,
    convex,
    ellipsoid,
    extents,
    frame_along,
    half_space,
    in_frame,
    paraboloid,
    ray_interval,
    rotation,
    union_length,
)

BALL = convex(ellipsoid((1, 2, 3), (5, 5, 5)))
SLANTED = rotation(20, -35, 50)
SOLIDS = {
    "ellipsoid": convex(ellipsoid((2, -1, 3), (9, 4, 6), SLANTED)),
    "tube": convex(ellipsoid((0, 1, 0), (np.inf, 3, 4), SLANTED), ellipsoid((0, 1, 0), (8, np.inf, np.inf), SLANTED)),
    "half ball": convex(BALL, half_space((1, 1, -0.5), (1, 2, 3))),
    "capped paraboloid": convex(paraboloid((1, 0, 7), (6, 9)), half_space((0, 0, -1), (0, 0, -5))),
    "piece of a shell's outside": convex(
        ellipsoid((0, 0, 0), (10, 8, 9)), ellipsoid((0, 0, 0), (1.5, np.inf, np.inf), SLANTED)
    ),
}


@pytest.mark.parametrize(("off_axis", "chord"), [(0.0, 10.0), (3.0, 8.0), (4.0, 6.0), (5.1, 0.0)])
def test_a_ray_through_a_ball_has_the_chord_of_pythagoras(off_axis: float, chord: float) -> None:
    enter, leave = ray_interval(BALL, np.array([1 + off_axis]), np.array([2.0]))
    assert max(float((leave - enter)[0]), 0.0) == pytest.approx(chord)


def test_a_ray_along_a_plane_is_inside_it_or_never() -> None:
    wall = convex(half_space((1, 0, 0), (2, 0, 0)))
    enter, leave = ray_interval(wall, np.array([1.0, 3.0]), np.array([0.0, 0.0]))
    assert (enter[0], leave[0]) == (-np.inf, np.inf)
    assert leave[1] < enter[1]


@pytest.mark.parametrize("name", SOLIDS)
def test_intervals_agree_with_points_sampled_along_the_rays(name: str) -> None:
    rng = np.random.default_rng(1)
    to_mm = np.eye(4)
    to_mm[:3, :3] = rotation(*rng.uniform(-180, 180, 3))
    solid = in_frame(SOLIDS[name], to_mm)
    i, j = rng.uniform(-9, 9, size=(2, 200))
    t = np.arange(-40, 40, 0.02)
    sampled = contains(
        SOLIDS[name], *np.tensordot(to_mm[:3, :3], np.stack(np.broadcast_arrays(i[:, None], j[:, None], t)), 1)
    )
    enter, leave = ray_interval(solid, i, j)
    np.testing.assert_allclose(np.maximum(leave - enter, 0), sampled.sum(axis=1) * 0.02, atol=0.05)
    assert sampled.any()


@pytest.mark.parametrize("name", sorted(SOLIDS.keys() - {"capped paraboloid"}))
def test_bounds_hold_the_solid_and_little_more(name: str) -> None:
    points = np.random.default_rng(2).uniform(-20, 20, size=(3, 400_000))
    inside = points[:, contains(SOLIDS[name], *points)]
    low, high = extents(bounds(SOLIDS[name][None])[0])
    low, high = np.fmax.reduce(low), np.fmin.reduce(high)
    assert np.all(low <= inside.min(axis=1)) and np.all(inside.max(axis=1) <= high)
    assert np.all(high - low < 2.3 * np.ptp(inside, axis=1))


@pytest.mark.parametrize("solid", [convex(ellipsoid((0, 0, 0), (3, 3, np.inf))), SOLIDS["capped paraboloid"]])
def test_what_no_ellipsoid_is_known_to_hold_has_no_bounds(solid: np.ndarray) -> None:
    assert np.isnan(bounds(solid[None])).all()


def test_the_union_of_intervals_counts_what_is_covered_once() -> None:
    rng = np.random.default_rng(3)
    enter = rng.uniform(0, 10, size=(5, 50))
    leave = enter + rng.uniform(-2, 4, size=(5, 50))
    t = np.arange(-1, 15, 0.01)
    covered = np.any((enter[..., None] < t) & (t < leave[..., None]), axis=0).sum(axis=1) * 0.01
    np.testing.assert_allclose(union_length(list(enter), list(leave)), covered, atol=0.1)


@pytest.mark.parametrize("direction", [(1, 0, 0), (-1, 0, 0), (0.2, -3, 1)])
def test_a_frame_is_orthonormal_and_starts_along_its_direction(direction: tuple[float, float, float]) -> None:
    axes = frame_along(direction)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(axes[:, 0], np.array(direction) / np.linalg.norm(direction), atol=1e-12)


def test_rotation_is_right_handed() -> None:
    np.testing.assert_allclose(rotation(z_deg=90) @ (1, 0, 0), (0, 1, 0), atol=1e-12)
    np.testing.assert_allclose(rotation(90, 0, 90) @ (0, 1, 0), (0, 0, 1), atol=1e-12)
