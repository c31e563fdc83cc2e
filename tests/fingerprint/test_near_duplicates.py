"""Copies are found however they were turned or exposed; strangers are not."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from pipeline.fingerprint import TURNS, near_duplicates, thumbnail, turned
from pipeline.fingerprint.alike import _laid, _reverse


def recompressed(picture):
    small = Image.fromarray(picture).resize((picture.shape[1] // 2, picture.shape[0] // 2))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=40)
    return np.asarray(Image.open(buffer))


def rotated(picture, degrees):
    return ndimage.rotate(picture, degrees, reshape=False, order=1, mode="nearest")


COPIES = {
    "equal": lambda picture: picture,
    "recompressed at half the size": recompressed,
    "darker, less contrast": lambda picture: (0.4 * picture + 10).astype(np.uint8),
    "gamma": lambda picture: (255 * (picture / 255.0) ** 0.6).astype(np.uint8),
    "sixteen bits": lambda picture: picture.astype(np.uint16) * 57,
    "tiny floats": lambda picture: (picture * 1e-6).astype(np.float32),
    "in colour": lambda picture: np.stack([picture, picture // 2, picture // 3], axis=-1),
    "cropped": lambda picture: picture[8:-6, 5:-9],
    "turned by 4 degrees": lambda picture: rotated(picture, 4),
    "with a mark": lambda picture: np.where(np.add.outer(np.arange(180), np.arange(150)) < 35, 255, picture),
}


def pairs_of(pictures, sides=None):
    thumbnails = np.stack([thumbnail(picture) for picture in pictures])
    return near_duplicates(thumbnails, range(len(pictures)) if sides is None else sides)


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_found_among_strangers(textured, copy):
    pictures = [textured(k) for k in range(8)]
    found = pairs_of([*pictures, COPIES[copy](pictures[5])])
    assert [(pair.first, pair.second, pair.how) for pair in found] == [(5, 8, "as it is")]


@pytest.mark.parametrize("turn", range(1, len(TURNS)))
def test_a_turned_copy_is_found_and_its_turn_named(textured, turn):
    pictures = [textured(k, (160, 160)) for k in range(6)]
    (pair,) = pairs_of([turned(pictures[2], turn), *pictures])
    # Laid down as it says, the second picture is the first.
    np.testing.assert_array_equal(turned(pictures[2], TURNS.index(pair.how)), turned(pictures[2], turn))
    assert (pair.first, pair.second) == (0, 3)


def test_an_inverted_copy_is_found(textured):
    pictures = [textured(k) for k in range(6)]
    (pair,) = pairs_of([*pictures, 255 - pictures[1][::-1]])
    assert (pair.first, pair.second, pair.how) == (1, 6, "mirrored left to right, inverted")


def test_strangers_are_no_pair(textured):
    assert pairs_of([textured(k) for k in range(30)]) == []


def test_a_copy_across_the_split_is_found_behind_many_within(textured):
    film = textured(0)
    pictures = [np.roll(film, k, axis=0) for k in range(5)] + [textured(k) for k in range(1, 5)] + [film // 2]
    sides = [0] * 9 + [1]
    assert any(pair.second == 9 for pair in pairs_of(pictures, sides))


@pytest.mark.parametrize("turn", range(2 * len(TURNS)))
def test_a_reversed_turn_undoes_it(turn):
    picture = np.random.default_rng(0).integers(0, 255, (8, 8)).astype(np.uint8)
    np.testing.assert_array_equal(_laid(_laid(picture, turn), _reverse(turn)), picture)


@pytest.mark.parametrize("picture", [np.full((50, 40), 7, np.uint8), np.full((9, 9), np.nan, np.float32)])
def test_a_picture_that_shows_nothing_has_no_thumbnail(picture):
    assert thumbnail(picture) is None


def test_a_small_picture_has_a_thumbnail_too():
    picture = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
    small = thumbnail(picture)
    assert small.shape == (96, 96)
    assert (np.diff(small.astype(int), axis=0) >= 0).all()


def test_fewer_than_two_pictures_are_no_pair(textured):
    assert near_duplicates(np.empty((0, 96, 96), np.uint8), []) == []
    assert pairs_of([textured(0)]) == []


@pytest.mark.real_data
@pytest.mark.slow
def test_people_whose_films_look_alike_are_not_taken_for_one_another(planar_data):
    from pipeline.readers import find_pictures, read_picture

    files = find_pictures([planar_data / "cxr_shenzhen" / "images"])[::2]
    assert len(files) == 224
    assert pairs_of([read_picture(file).array for file in files], [k % 3 for k in range(224)]) == []


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("fundus_disc_cup_rgb", 4),  # three distorted copies of one eye, two of another
        ("cells_wbc", 6),  # the same cell photographed twice; one pair of files is equal
        ("fundus_disc", 0),
        ("ct_lungs", 0),
    ],
)
def test_distorted_copies_are_found_and_strangers_are_not(planar_data, folder, expected):
    from pipeline.readers import find_pictures, read_picture

    found = pairs_of([read_picture(file).array for file in find_pictures([planar_data / folder / "images"])])
    assert len(found) == expected
