from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from pipeline.overlays import (
    AGREEMENT,
    PREDICTION,
    REFERENCE,
    colour_of,
    draw_agreement,
    draw_filled,
    draw_overlay,
    save_overlay,
    to_grey,
    with_caption,
)

FILM = np.tile(np.linspace(0, 255, 40, dtype=np.uint8)[:, None], (1, 30))


def square(value: int = 1, at: tuple[int, int] = (10, 5)) -> np.ndarray:
    mask = np.zeros((40, 30), np.uint8)
    mask[at[0] : at[0] + 12, at[1] : at[1] + 10] = value
    return mask


def pixels_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.all(picture == colour, axis=-1)


def test_the_outline_is_on_the_regions_own_rim() -> None:
    found = pixels_of(draw_overlay(FILM, square()), PREDICTION)
    expected = square().astype(bool)
    expected[11:21, 6:14] = False
    assert np.array_equal(found, expected)


def test_outside_the_mask_the_film_is_as_it_was_and_inside_it_is_tinted() -> None:
    picture = draw_overlay(FILM, square())
    outside = square() == 0
    assert np.array_equal(picture[outside], np.repeat(to_grey(FILM)[outside][:, None], 3, axis=1))
    inner = picture[15, 10].astype(int)
    assert inner[0] > inner[1]


def test_the_reference_is_outlined_in_blue_over_the_prediction() -> None:
    picture = draw_overlay(FILM, square(), square(at=(10, 5)))
    assert not pixels_of(picture, PREDICTION).any()
    assert pixels_of(picture, REFERENCE).sum() == 12 * 10 - 10 * 8


def test_the_colours_of_twenty_classes_and_of_references_can_be_told_apart() -> None:
    colours = [*(colour_of(index) for index in range(1, 21)), REFERENCE]
    lab = rgb2lab(np.asarray(colours).reshape(-1, 1, 3) / 255)
    differences = deltaE_ciede2000(lab, lab.swapaxes(0, 1))
    assert differences[np.triu_indices(len(colours), 1)].min() > 14
    assert colour_of(7) != colour_of(1) == PREDICTION


def test_classes_have_colours_of_their_own() -> None:
    mask = square(1) + square(2, at=(25, 18))
    picture = draw_overlay(FILM, mask)
    assert pixels_of(picture, colour_of(1)).any()
    assert pixels_of(picture, colour_of(2)).any()
    assert len({colour_of(index) for index in range(1, 7)} | {REFERENCE}) == 7
    assert colour_of(21) == colour_of(1)


def test_a_mask_up_to_the_edge_has_no_outline_along_the_edge() -> None:
    assert not pixels_of(draw_overlay(FILM, np.ones((40, 30), np.uint8)), PREDICTION).any()


def test_an_empty_mask_leaves_the_film() -> None:
    assert np.array_equal(draw_overlay(FILM, np.zeros((40, 30), np.uint8))[..., 0], to_grey(FILM))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32, np.float64])
def test_any_range_is_stretched_to_eight_bits(dtype: type) -> None:
    ramp = np.linspace(0, 200, 4000).reshape(80, 50).astype(dtype)
    grey = to_grey(ramp)
    assert grey.dtype == np.uint8
    assert (int(grey.min()), int(grey.max())) == (0, 255)
    assert (np.diff(grey.astype(int).ravel()) >= 0).all()


def test_tiny_numbers_of_a_float_film_are_stretched_too() -> None:
    grey = to_grey(FILM.astype(np.float32) * 1e-6)
    assert grey.max() == 255
    assert grey.min() == 0


def test_a_film_of_one_value_and_numbers_that_are_none_are_no_trouble() -> None:
    assert (to_grey(np.full((4, 5), 7, np.int16)) == 0).all()
    holed = FILM.astype(np.float32)
    holed[0, 0], holed[1, 1] = np.nan, np.inf
    grey = to_grey(holed)
    assert (grey[0, 0], grey[1, 1]) == (0, 0)
    assert grey.max() == 255
    assert (to_grey(np.full((2, 2), np.nan)) == 0).all()


def test_a_colour_picture_keeps_its_colours() -> None:
    colour = np.zeros((40, 30, 3), np.uint8)
    colour[..., 1] = 90
    assert np.array_equal(draw_overlay(colour, np.zeros((40, 30), np.uint8)), colour)
    assert colour[..., 1].min() == 90


def test_neither_film_nor_mask_is_changed() -> None:
    film, mask = FILM.copy(), square()
    draw_overlay(film, mask, mask)
    assert np.array_equal(film, FILM)
    assert np.array_equal(mask, square())


def test_outlines_grow_with_the_picture() -> None:
    mask = np.zeros((1600, 100), np.uint8)
    mask[100:1500, 20:80] = 1
    assert pixels_of(draw_overlay(np.zeros((1600, 100), np.uint8), mask), PREDICTION)[800].sum() == 2 * 4


def test_the_file_has_the_films_width_and_height(tmp_path: Path) -> None:
    save_overlay(FILM, square(), tmp_path / "new" / "film_overlay.png")
    with Image.open(tmp_path / "new" / "film_overlay.png") as picture:
        assert picture.size == (40, 30)
        assert picture.format == "PNG"
        assert picture.getpixel((10, 5)) == PREDICTION
        assert picture.getpixel((5, 10)) != PREDICTION
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["film_overlay.png"]


def test_outlines_that_meet_are_white_and_what_differs_is_tinted() -> None:
    prediction, reference = np.zeros((80, 60), np.uint8), np.zeros((80, 60), np.uint8)
    prediction[10:40, 10:50] = 1
    reference[10:60, 10:50] = 1  # shares three sides, and goes on to the right
    film = np.full((80, 60), 100, np.uint8)
    picture = draw_agreement(film, prediction, reference)
    assert tuple(picture[10, 30]) == AGREEMENT
    assert tuple(picture[39, 30]) == PREDICTION
    assert tuple(picture[59, 30]) == REFERENCE
    only_reference, both, outside = picture[50, 30].astype(int), picture[25, 30], picture[70, 30]
    assert only_reference[2] > only_reference[0]
    assert np.array_equal(both, outside)
    assert len(set(both.tolist())) == 1


def test_a_wrong_class_is_no_agreement() -> None:
    mask = square(1)
    picture = draw_agreement(FILM, mask * 2, mask)
    inner = picture[15, 10].astype(int)
    assert inner[0] > inner[2]


def test_masks_that_are_empty_leave_the_film_to_be_seen() -> None:
    empty = np.zeros((40, 30), np.uint8)
    assert np.array_equal(draw_agreement(FILM, empty, empty)[..., 0], to_grey(FILM))
    assert pixels_of(draw_agreement(FILM, empty, square()), REFERENCE).any()


def test_a_filled_mask_has_the_colours_that_are_asked_for() -> None:
    picture = draw_filled(FILM, square(1) + square(2, at=(25, 18)), {1: (1, 2, 3)})
    assert pixels_of(picture, (1, 2, 3)).any()
    assert pixels_of(picture, colour_of(2)).any()
    assert np.array_equal(picture[0, 0], np.repeat(to_grey(FILM)[0, 0], 3))


def test_a_caption_goes_below_and_leaves_the_picture() -> None:
    picture = draw_overlay(FILM, square(), colours={1: (1, 200, 3)})
    assert pixels_of(picture, (1, 200, 3)).any()
    captioned = with_caption(
        picture, [("right_lung", (1, 200, 3)), ("a class with a long name", (9, 9, 250))], "model 1"
    )
    assert np.array_equal(captioned[:, :30], picture)
    assert captioned.shape[0] == picture.shape[0] and captioned.shape[1] > picture.shape[1]
    below = captioned[:, 30:]
    assert pixels_of(below, (1, 200, 3)).any() and pixels_of(below, (9, 9, 250)).any()


def test_a_long_title_is_broken_and_not_cut_off() -> None:
    picture = np.zeros((300, 20, 3), np.uint8)
    heights = []
    for title in ("model 1", "stored as 1.2", "stored as 2.25.305426018389253890560331765145077755602 by somebody"):
        bar = with_caption(picture, [("lung", (1, 200, 3))], title)[:, 20:]
        assert bar[:-2].any() and not bar[-2:].any()
        heights.append(bar.shape[1])
    assert heights[0] == heights[1] < heights[2]
    very_narrow = with_caption(np.zeros((12, 8, 3), np.uint8), [("right_lung", (1, 200, 3))], "by a model")
    assert very_narrow.shape[0] == 12
