"""One case: colour or grey, its pixels by class."""

import numpy as np
import pytest

from pipeline.fingerprint import grey_of, measure_case


def random_picture(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def test_a_film_stored_in_colour_is_grey_though_a_mark_is_red():
    grey = random_picture((60, 50))
    film = np.repeat(grey[..., None], 3, axis=2)
    film[:5, :5] = (255, 0, 0)
    case = measure_case(film, np.zeros((60, 50), np.uint8), 2)
    assert (case.coloured, case.grey_as_colour) == (False, True)
    assert case.channels == ()


def test_a_photograph_is_coloured_and_has_three_histograms():
    photograph = random_picture((30, 20, 3))
    case = measure_case(photograph, np.zeros((30, 20), np.uint8), 2)
    assert (case.coloured, case.grey_as_colour) == (True, False)
    for k, histogram in enumerate(case.channels):
        assert histogram.mean() == pytest.approx(photograph[..., k].mean())


def test_grey_of_colours_is_luma_and_stays_whole():
    picture = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]], np.uint8)
    grey = grey_of(picture)
    assert grey.dtype == np.uint8
    np.testing.assert_array_equal(grey, [[76, 150, 29, 9]])


def test_grey_is_that_of_the_training():
    import torch

    from pipeline.transforms.channels import as_channels

    picture = random_picture((12, 9, 3))
    theirs = as_channels(torch.from_numpy(picture).movedim(-1, 0).float(), 1)[0].numpy()
    np.testing.assert_allclose(grey_of(picture.astype(np.float32)), theirs, rtol=1e-5)


def test_pixels_are_counted_by_class_and_absent_classes_have_no_region():
    image, mask = random_picture((20, 20)), np.zeros((20, 20), np.uint8)
    mask[:10] = 1
    mask[15:] = 3
    case = measure_case(image, mask, 4, spacing_mm=(0.5, 0.7), container="DICOM")
    assert [histogram.total for histogram in case.intensity] == [100, 200, 0, 100]
    assert sorted(case.regions) == [1, 3]
    assert case.foreground.area == 300
    assert (case.shape, case.spacing_mm, case.dtype, case.container) == ((20, 20), (0.5, 0.7), "uint8", "DICOM")


def test_an_empty_mask_has_no_foreground():
    case = measure_case(random_picture((8, 8)), np.zeros((8, 8), np.uint8), 2)
    assert case.foreground is None
    assert case.regions == {}
