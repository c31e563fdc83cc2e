"""Truth at points, on grids and along rays is one and the same body."""

import numpy as np
import pytest
from nibabel.affines import apply_affine

from pipeline.phantom import Label, Thorax, thorax
from pipeline.phantom.parts import Part
from pipeline.phantom.quadrics import convex, ellipsoid, rotation

TURNED = rotation(12, -20, 31)


@pytest.fixture(scope="module")
def body() -> Thorax:
    return thorax(4, opacity="consolidation")


def affine_of(axes, spacing, origin):
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(axes) @ np.diag(spacing)
    affine[:3, 3] = origin
    return affine


GRIDS = {
    "axial": ((60, 50, 12), affine_of(np.diag([-1, -1, 1]), (6, 6, 20), (180, 150, -120))),
    "oblique": ((40, 60, 30), affine_of(TURNED, (8, 5, 9), (-150, -160, -130))),
    "flipped and left-handed": ((50, 40, 20), affine_of(np.diag([1, -1, -1]), (6, 7, 11), (-150, 140, 100))),
    "coronal, permuted axes": ((50, 9, 45), affine_of([[1, 0, 0], [0, 0, 1], [0, -1, 0]], (6, 7, 8), (-140, -40, 10))),
    "a single slice": ((80, 70, 1), affine_of(np.diag([-1, -1, 1]), (4, 4, 5), (160, 140, 3))),
}


@pytest.mark.parametrize("grid", GRIDS)
def test_ct_holds_the_truth_at_voxel_centres(body: Thorax, grid: str) -> None:
    shape, affine = GRIDS[grid]
    hu, labels = body.ct(shape, affine)
    points_ras = apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    points_lps = points_ras * (-1, -1, 1)
    np.testing.assert_array_equal(labels, body.label_at(points_lps))
    np.testing.assert_allclose(hu, body.hu_at(points_lps), atol=0.01)
    assert len(np.unique(labels)) >= 5


def test_a_ball_of_water_in_air_casts_its_chord() -> None:
    ball = Part("ball", convex(ellipsoid((10, 20, -30), (40, 40, 40))), 1000.0, Label.BODY)
    water_mm, shadows = Thorax(thorax(0).habitus, (ball,)).project((3, 1), film_at(10, -30, step_mm=24))
    np.testing.assert_allclose(water_mm[:, 0], [80, 64, 0], atol=1e-9)  # 2√(40² − 24²) = 64; 48 mm off: a miss
    assert shadows[Label.BODY][:, 0].tolist() == [True, True, False]


def test_holes_and_parts_within_add_up_along_a_ray() -> None:
    outer = convex(ellipsoid((0, 0, 0), (50, 50, 50)))
    hole = convex(ellipsoid((0, 20, 0), (10, 10, 10)))
    bone = convex(ellipsoid((0, -20, 0), (5, 5, 5)))
    parts = (Part("body", outer, 1000.0, Label.BODY, (hole,)), Part("bone", bone, 500.0, Label.BONES))
    water_mm, _ = Thorax(thorax(0).habitus, parts).project((1, 1), film_at(0, 0))
    assert water_mm[0, 0] == pytest.approx(100 - 20 + 10 * 0.5)


def film_at(left_mm: float, up_mm: float, step_mm: float = 1.0) -> np.ndarray:
    """RAS affine of a frontal film: columns to the left, rows downwards, beam from back to front."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([[-1, 0, 0], [0, 0, 1], [0, -1, 0]]) * (step_mm, step_mm, 1)
    affine[:3, 3] = (-left_mm, 0, up_mm)
    return affine


@pytest.mark.parametrize("seed", [4, 11])
def test_line_integrals_and_shadows_agree_with_points_sampled_along_the_rays(seed: int) -> None:
    body = thorax(seed, opacity=("consolidation", "effusion")[seed % 2])
    shape = (8, 8)
    affine = film_at(0, 0)
    affine[:3, :3] = TURNED @ affine[:3, :3] @ np.diag([40, 40, 1])
    affine[:3, 3] = affine[:3, :3] @ (-3.6, -3.7, 0)
    water_mm, shadows = body.project(shape, affine)
    t = np.arange(-270, 270, 0.4)
    i, j = np.indices(shape)
    index = np.stack(np.broadcast_arrays(i[..., None], j[..., None], t), axis=-1)
    points = apply_affine(affine, index) * (-1, -1, 1)
    sampled_mm = (body.hu_at(points) / 1000 + 1).sum(axis=-1) * 0.4
    np.testing.assert_allclose(water_mm, sampled_mm, atol=2.0)
    labels = body.label_at(points)
    for label in (Label.RIGHT_LUNG, Label.LEFT_LUNG, Label.HEART, Label.MEDIASTINUM, Label.ABDOMEN):
        met = (labels == label).any(axis=-1)
        assert not np.any(met & ~shadows[label]), label
    for lung in (Label.RIGHT_LUNG, Label.LEFT_LUNG):
        np.testing.assert_array_equal((labels == lung).any(axis=-1), shadows[lung])


def test_organs_lie_on_their_sides_and_levels(body: Thorax) -> None:
    shape, affine = (90, 70, 40), affine_of(np.diag([-1, -1, 1]), (4, 4, 8), (180, 140, -160))
    _, labels = body.ct(shape, affine)
    centre = {
        label: (apply_affine(affine, np.argwhere(labels == label)) * (-1, -1, 1)).mean(axis=0)
        for label in Label
        if np.any(labels == label)
    }
    assert centre[Label.RIGHT_LUNG][0] < -30 < 30 < centre[Label.LEFT_LUNG][0]
    assert centre[Label.HEART][0] > 5 and centre[Label.HEART][1] < 0, "the heart lies to the left and in front"
    assert centre[Label.SPINE][1] > 40, "the spine lies behind"
    assert centre[Label.TRACHEA][2] > 30 > centre[Label.HEART][2] > centre[Label.ABDOMEN][2]
    assert len(centre) == len(Label)


@pytest.mark.parametrize(
    ("label", "low", "high"),
    [
        (Label.BACKGROUND, -1000, -1000),
        (Label.RIGHT_LUNG, -900, -750),
        (Label.HEART, 30, 60),
        (Label.TRACHEA, -1000, -1000),
        (Label.SPINE, 80, 400),
        (Label.BONES, 300, 2200),
        (Label.ABDOMEN, 55, 75),
        (Label.BODY, -110, 60),
    ],
)
def test_tissues_have_their_hounsfield_units(label: Label, low: float, high: float) -> None:
    body = thorax(1, opacity="none", stomach_mm=0.0)
    hu, labels = body.ct((90, 70, 30), affine_of(np.diag([-1, -1, 1]), (4, 4, 10), (180, 140, -150)))
    assert low <= np.median(hu[labels == label]) <= high
    assert hu.min() > -1001


def test_another_seed_is_another_body_and_the_same_seed_the_same() -> None:
    points = np.random.default_rng(0).uniform(-150, 150, size=(5000, 3))
    first = thorax(7).hu_at(points)
    np.testing.assert_array_equal(first, thorax(7).hu_at(points))
    assert np.mean(first != thorax(8).hu_at(points)) > 0.02


def test_an_opacity_changes_the_lung_and_not_its_label() -> None:
    shape, affine = GRIDS["axial"]
    clear_hu, clear = thorax(3, opacity="none").ct(shape, affine)
    for opacity in ("consolidation", "effusion", "nodules"):
        hu, labels = thorax(3, opacity=opacity).ct(shape, affine)
        np.testing.assert_array_equal(labels, clear)
        changed = np.abs(hu - clear_hu) > 30
        assert changed.any()
        assert set(np.unique(labels[changed])) <= {Label.RIGHT_LUNG, Label.LEFT_LUNG}
