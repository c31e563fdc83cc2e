"""Films: exact masks, the look of an X-ray, annotations."""

from dataclasses import replace

import numpy as np
import pytest
from nibabel.affines import apply_affine

from pipeline.phantom import Label, Radiograph, radiograph, thorax
from pipeline.phantom.radiograph import draw_film, expose


@pytest.fixture(scope="module")
def film() -> Radiograph:
    return radiograph(thorax(5, opacity="none"), seed=5, size=128)


def test_the_lung_field_is_the_lung_outside_heart_mediastinum_and_diaphragm(film: Radiograph) -> None:
    body = thorax(5, opacity="none")
    step = 6
    i, j = np.meshgrid(np.arange(0, film.image.shape[0], step), np.arange(0, film.image.shape[1], step), indexing="ij")
    t = np.arange(-220, 220, 0.5)
    index = np.stack(np.broadcast_arrays(i[..., None], j[..., None], t), axis=-1)
    truth = body.label_at(apply_affine(film.affine, index) * (-1, -1, 1))

    def met(*labels: Label) -> np.ndarray:
        return np.isin(truth, labels).any(axis=-1)

    field = ~met(Label.HEART, Label.MEDIASTINUM, Label.ABDOMEN)
    exposed = film.labels[::step, ::step] > 0
    for index_2d, lung, other in ((1, Label.RIGHT_LUNG, Label.LEFT_LUNG), (2, Label.LEFT_LUNG, Label.RIGHT_LUNG)):
        expected = met(lung) & field & ~met(other) & exposed
        drawn = (film.labels[::step, ::step] == index_2d) & ~met(other)
        # Sampling at half millimetres may miss a grazed organ; no more than that.
        assert np.mean(drawn != expected) < 0.004
        assert expected.sum() > 20


def test_right_is_on_the_left_of_the_picture(film: Radiograph) -> None:
    right, left = (np.argwhere(film.labels == k)[:, 0].mean() for k in (1, 2))
    assert right < film.image.shape[0] / 2 < left


def test_lungs_are_dark_and_the_middle_is_bright() -> None:
    contrasts = []
    for seed in range(6):
        film = radiograph(thorax(seed, opacity="none"), seed=seed, size=96)
        lungs = np.isin(film.labels, (1, 2))
        contrasts.append(film.image[film.labels == 3].mean() - film.image[lungs].mean())
        assert 0.1 < lungs.mean() < 0.5
    assert min(contrasts) > 25


def test_nothing_is_labelled_under_the_collimator() -> None:
    body = thorax(2)
    settings = replace(
        draw_film(np.random.default_rng(2), 96), collimation_mm=(60.0, 0.0, 0.0, 90.0), border=255, marker=""
    )
    film = expose(body, settings, np.random.default_rng(0), text="")
    open_film = expose(body, replace(settings, collimation_mm=(0.0,) * 4), np.random.default_rng(0), text="")
    covered = film.image != open_film.image
    columns, rows = settings.shape
    assert np.all(film.image[: columns // 10] == 255) and np.all(film.image[:, -rows // 8 :] == 255)
    assert not film.labels[: columns // 10].any() and not film.labels[:, -rows // 8 :].any()
    assert np.all(film.labels[~covered & (film.labels > 0)] == open_film.labels[~covered & (film.labels > 0)])
    assert open_film.labels[: columns // 5].any(), "the blades cover lung here, or the test tests nothing"


def test_scatter_and_noise_do_not_touch_the_line_integrals() -> None:
    body, rng = thorax(2), np.random.default_rng
    settings = replace(draw_film(rng(2), 96), photons=1e3)
    film = expose(body, settings, rng(0))
    other = expose(body, replace(settings, scatter_fraction=0.0), rng(1))
    assert np.any(film.image != other.image)
    np.testing.assert_array_equal(film.water_mm, other.water_mm)


def test_fewer_photons_make_more_noise() -> None:
    body, rng = thorax(2), np.random.default_rng
    settings = replace(draw_film(rng(2), 96), marker="")
    few, many = (expose(body, replace(settings, photons=n), rng(0), text="").image.astype(float) for n in (2e3, 1e7))
    clear = expose(body, replace(settings, photons=1e9), rng(0), text="").image
    assert np.std(few - clear) > 5 * np.std(many - clear)


def test_every_film_says_phantom() -> None:
    body, settings = thorax(2), replace(draw_film(np.random.default_rng(2), 128), marker="")
    plain, said = (expose(body, settings, np.random.default_rng(0), text=text).image for text in ("", "PHANTOM"))
    written = np.argwhere(plain != said)
    assert len(written) > 60
    assert np.all(np.ptp(written, axis=0) < (80, 16)), "in one corner"


def test_films_differ_in_shape_spacing_and_photometric_interpretation() -> None:
    drawn = [draw_film(np.random.default_rng(seed), 200) for seed in range(40)]
    assert {max(settings.shape) for settings in drawn} == {200}
    assert len({settings.shape for settings in drawn}) > 20
    assert len({settings.spacing_mm for settings in drawn}) > 20
    assert {settings.photometric for settings in drawn} == {"MONOCHROME1", "MONOCHROME2"}


def test_the_same_seed_is_the_same_film() -> None:
    body = thorax(1)
    first, again, other = (radiograph(body, seed=seed, size=96) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.image, again.image)
    assert first.settings == again.settings != other.settings
