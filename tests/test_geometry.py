"""The way from a stored array to the display array and back."""

import itertools

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.errors import GeometryMismatch
from pipeline.geometry import SourceGrid, picture_affine, spacing_of

SPACING_MM = (0.7, 0.9, 2.5)
SHAPE = (4, 5, 3)

# Every right- or left-handed way in which three array axes can run along three world axes.
AXIS_ALIGNED = [
    (permutation, signs)
    for permutation in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def affine_of(permutation, signs, spacing_mm=SPACING_MM, origin_mm=(-10.5, 22.25, 300.125)):
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(permutation, signs, strict=True)):
        affine[world, axis] = sign * spacing_mm[axis]
    affine[:3, 3] = origin_mm
    return affine


def oblique(affine, degrees=(12, -9, 17)):
    rotation = np.eye(4)
    for axis, angle in enumerate(np.radians(degrees)):
        turn = np.eye(4)
        first, second = [n for n in range(3) if n != axis]
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        rotation = rotation @ turn
    return rotation @ affine


def numbered(shape):
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def places_mm(array, affine):
    """World position of every value of a numbered array, in the order of the values."""
    indices = np.argwhere(array >= 0)[np.argsort(array.ravel())]
    return indices @ affine[:3, :3].T + affine[:3, 3]


@pytest.mark.parametrize("turn", [lambda affine: affine, oblique], ids=["aligned", "oblique"])
@pytest.mark.parametrize(("permutation", "signs"), AXIS_ALIGNED)
def test_every_voxel_keeps_its_place_and_comes_back(permutation, signs, turn):
    affine = turn(affine_of(permutation, signs))
    grid = SourceGrid.oriented(SHAPE, affine)
    stored = numbered(SHAPE)
    display = grid.to_display(stored)
    assert display.shape == grid.display_shape
    np.testing.assert_array_equal(grid.to_source(display), stored)
    np.testing.assert_allclose(places_mm(display, grid.affine), places_mm(stored, affine), atol=1e-9)


@pytest.mark.parametrize(("permutation", "signs"), AXIS_ALIGNED)
@pytest.mark.parametrize(
    ("slice_world", "directions"),
    [
        (2, [(0, -1), (1, -1), (2, +1)]),  # axial: Left, Posterior, ascending to Superior
        (1, [(0, -1), (2, -1), (1, -1)]),  # coronal: Left, Inferior, ascending to Posterior
        (0, [(1, -1), (2, -1), (0, -1)]),  # sagittal: Posterior, Inferior, ascending to Left
    ],
    ids=["axial", "coronal", "sagittal"],
)
def test_display_axes_run_as_a_viewer_shows_them(permutation, signs, slice_world, directions):
    spacing_mm = tuple(3.0 if world == slice_world else 1.0 for world in permutation)
    grid = SourceGrid.oriented(SHAPE, affine_of(permutation, signs, spacing_mm))
    for axis, (world, sign) in enumerate(directions):
        column = grid.affine[:3, axis]
        assert np.flatnonzero(column).tolist() == [world]
        assert np.sign(column[world]) == sign


def test_slices_lie_along_the_singleton_axis_before_the_coarse_one():
    grid = SourceGrid.oriented((6, 1, 5), np.diag([1.0, 1.0, 4.0, 1.0]))
    assert grid.display_shape == (6, 5)  # coronal, although the third axis is coarser


def test_slices_of_isotropic_volumes_are_axial():
    grid = SourceGrid.oriented((6, 7, 5), affine_of((2, 0, 1), (1, 1, 1), (1.0, 1.2, 1.1)))
    assert grid.depth == 6


def test_a_declared_slice_axis_wins_over_spacing():
    grid = SourceGrid.oriented((6, 7, 5), np.diag([1.0, 1.0, 4.0, 1.0]), slice_axis=0)
    assert grid.depth == 6


def test_oblique_cosines_at_45_degrees_still_give_three_different_axes():
    grid = SourceGrid.oriented(SHAPE, oblique(np.eye(4), (45, 45, 0)))
    assert sorted(grid.axes) == [0, 1, 2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientations_agree_with_pillow(orientation):
    rows = np.arange(15, dtype=np.uint8).reshape(3, 5)
    image = Image.fromarray(rows)
    image.getexif()[274] = orientation
    grid = SourceGrid.of_picture((5, 3), exif_orientation=orientation)
    np.testing.assert_array_equal(grid.to_display(rows.T).T, np.asarray(ImageOps.exif_transpose(image)))
    np.testing.assert_array_equal(grid.to_source(grid.to_display(rows.T)), rows.T)
    assert grid.exif_orientation == orientation
    np.testing.assert_allclose(grid.affine, picture_affine())


@pytest.mark.parametrize("signs", list(itertools.product("+-", repeat=3)))
@pytest.mark.parametrize("letters", list(itertools.permutations("xyz")))
def test_a_grid_shown_by_other_axes_comes_back_and_has_no_place(letters, signs):
    axes = "".join(sign + letter for sign, letter in zip(signs, letters, strict=True))
    grid = SourceGrid.oriented((3, 4, 5), affine_of((0, 1, 2), (1, 1, 1))).shown_by(axes)
    stored = numbered((3, 4, 5))
    assert grid.axes_as_text == axes
    assert np.array_equal(grid.to_source(grid.to_display(stored)), stored)
    first = tuple(
        0 if sign == "+" else stored.shape["xyz".index(k)] - 1 for sign, k in zip(signs, letters, strict=True)
    )
    place = dict(zip(letters, first, strict=True))
    assert grid.to_display(stored)[0, 0, 0] == stored[place["x"], place["y"], place["z"]]
    assert np.allclose(grid.affine, picture_affine())


@pytest.mark.parametrize("axes", ["+x+y", "+x+x+z", "xyz", "+x+y+w", ""])
def test_axes_that_are_none_are_refused(axes):
    with pytest.raises(GeometryMismatch, match="are no axes"):
        SourceGrid.of_picture((3, 4)).shown_by(axes)


def test_pictures_run_left_and_posterior_with_their_spacing():
    grid = SourceGrid.of_picture((5, 3), (0.5, 0.25))
    np.testing.assert_array_equal(grid.affine, np.diag([-0.5, -0.25, 1, 1]))
    assert grid.spacing_mm == (0.5, 0.25)


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (1, -1, -1)])
def test_a_cut_slice_lies_where_it_lay_in_the_volume(signs):
    grid = SourceGrid.oriented(SHAPE, oblique(affine_of((0, 1, 2), signs)))
    volume = grid.to_display(numbered(SHAPE))
    for number in range(grid.depth):
        cut = grid.cut(number)
        assert (cut.display_shape, cut.frame) == (grid.display_shape[:2], number)
        np.testing.assert_allclose(cut.affine[:3, :2], grid.affine[:3, :2])
        np.testing.assert_allclose(cut.affine[:3, 3], (grid.affine @ [0, 0, number, 1])[:3])
        assert cut.to_source(volume[:, :, number]).shape == cut.stored_shape


def test_channels_stay_last():
    grid = SourceGrid.oriented(SHAPE, affine_of((2, 0, 1), (1, -1, 1)))
    colours = numbered((*SHAPE, 3))
    display = grid.to_display(colours)
    assert display.shape == (*grid.display_shape, 3)
    np.testing.assert_array_equal(grid.to_source(display), colours)


def test_a_grid_survives_the_metadata_bit_by_bit():
    grid = SourceGrid.oriented(SHAPE, oblique(affine_of((1, 2, 0), (1, -1, 1)))).cut(1)
    again = SourceGrid.from_meta(grid.to_meta())
    np.testing.assert_array_equal(again.stored_affine, grid.stored_affine)
    assert (again.shape, again.axes, again.flips, again.planar, again.frame) == (
        grid.shape,
        grid.axes,
        grid.flips,
        grid.planar,
        grid.frame,
    )


def test_spacing_is_the_length_of_the_affine_columns():
    np.testing.assert_allclose(spacing_of(oblique(affine_of((2, 0, 1), (1, -1, 1)))), SPACING_MM)


def test_a_mask_of_another_size_does_not_go_back():
    with pytest.raises(GeometryMismatch, match=r"Mask 3×5 does not match its image 5×3\..*Invertd"):
        SourceGrid.of_picture((5, 3)).to_source(np.zeros((3, 5)))


def test_an_array_of_another_size_does_not_reach_display():
    with pytest.raises(GeometryMismatch, match="Array 3×5 does not match its grid 5×3"):
        SourceGrid.of_picture((5, 3)).to_display(np.zeros((3, 5)))


@pytest.mark.parametrize("affine", [np.diag([1.0, 0.0, 1.0, 1.0]), np.ones((4, 4)), np.full((4, 4), np.nan)])
def test_a_singular_affine_is_refused(affine):
    with pytest.raises(GeometryMismatch, match="singular"):
        SourceGrid.oriented(SHAPE, affine)


def test_metadata_without_a_grid_say_how_to_load():
    with pytest.raises(GeometryMismatch, match="PlanarReader"):
        SourceGrid.from_meta({"affine": np.eye(4)})
