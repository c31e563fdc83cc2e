"""Distances: about 1 for the set's own pictures, large for others, the same after writing and reading."""

import json

import numpy as np
import pytest

from pipeline.gate import Reference, held_out_distances
from pipeline.gate.reference import folds_of


def vectors(number: int, seed: int, shift: float = 0.0) -> list[np.ndarray]:
    """Two layers of correlated values, the second a hundred times as large, more than are kept without projection."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(6, 400))
    values = rng.normal(size=(number, 6)) @ mixing + 0.2 * rng.normal(size=(number, 400)) + shift
    return [values[:, :250].astype(np.float32), 100 * values[:, 250:].astype(np.float32)]


LAYERS = ["first", "second"]


def test_unseen_pictures_of_the_set_are_at_a_distance_of_about_one() -> None:
    reference = Reference.of(LAYERS, vectors(120, 0))
    assert np.median(reference.distances(vectors(60, 1))) == pytest.approx(1.0, abs=0.3)


def test_other_pictures_are_further_away_than_any_of_the_set() -> None:
    reference = Reference.of(LAYERS, vectors(120, 0))
    own, shifted = reference.distances(vectors(60, 1)), reference.distances(vectors(60, 2, shift=3.0))
    assert shifted.min() > 1.5 * own.max()


def test_a_layer_counts_the_same_whatever_its_scale() -> None:
    first, second = vectors(80, 0)
    strange = [part[:1].copy() for part in vectors(1, 5)]
    strange[0] += 5
    one = Reference.of(LAYERS, [first, second]).distances(strange)
    other = Reference.of(LAYERS, [1000 * first, second]).distances([1000 * strange[0], strange[1]])
    np.testing.assert_allclose(one, other, rtol=1e-3)


def test_the_unit_divides() -> None:
    data = vectors(40, 0)
    np.testing.assert_allclose(
        Reference.of(LAYERS, data, unit=2.0).distances(data), Reference.of(LAYERS, data).distances(data) / 2
    )


def test_writing_and_reading_changes_nothing() -> None:
    reference = Reference.of(LAYERS, vectors(60, 0), unit=1.5)
    text = json.dumps(reference.document(), allow_nan=False)
    again = Reference.from_document(json.loads(text))
    np.testing.assert_allclose(again.distances(vectors(9, 4)), reference.distances(vectors(9, 4)), rtol=1e-6)
    assert again.layers == (("first", 250), ("second", 150))
    assert len(text) < 100_000


def test_pictures_that_are_all_the_same_give_finite_distances() -> None:
    same = [np.ones((5, 20), np.float32)]
    assert np.isfinite(Reference.of(["layer"], same).distances([np.zeros((2, 20), np.float32)])).all()


def test_a_held_out_picture_is_compared_with_other_subjects_alone() -> None:
    data = vectors(40, 0)
    # Each subject's second picture is a copy of the first: seen, it would be near.
    twice = [np.repeat(part, 2, axis=0) for part in data]
    subjects = [f"s{k // 2}" for k in range(80)]
    apart = held_out_distances(LAYERS, twice, subjects)
    np.testing.assert_allclose(apart[::2], apart[1::2], rtol=1e-5)
    assert apart.mean() > Reference.of(LAYERS, twice).distances(twice).mean()


def test_a_subject_is_in_one_fold() -> None:
    folds = folds_of(["a", "b", "a", "c", "b", "d"], 3)
    assert list(folds) == [0, 1, 0, 2, 1, 0]
