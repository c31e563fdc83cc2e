from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.metrics import bootstrap_interval
from pipeline.metrics.bootstrap import bootstrap_intervals


def plain(values: list[float], subjects: list[str], resamples: int = 4000) -> tuple[float, float]:
    """The textbook loop: draw subjects, take all that is theirs, take the mean."""
    rng = np.random.default_rng(99)
    owners = sorted(set(subjects))
    means = []
    for _ in range(resamples):
        drawn = rng.choice(len(owners), len(owners))
        taken = [v for k in drawn for v, s in zip(values, subjects, strict=True) if s == owners[k]]
        means.append(np.mean(taken))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def test_the_interval_is_that_of_the_textbook_loop() -> None:
    rng = np.random.default_rng(1)
    subjects = [f"s{k}" for k in rng.integers(0, 25, 60)]
    values = rng.normal(0.9, 0.05, 60).tolist()
    assert bootstrap_interval(values, subjects) == pytest.approx(plain(values, subjects), abs=0.001)


def test_images_of_one_subject_are_not_taken_for_independent() -> None:
    rng = np.random.default_rng(2)
    by_subject = rng.normal(0.8, 0.1, 20)
    values, subjects = np.repeat(by_subject, 30), np.repeat(np.arange(20), 30)
    wide, narrow = (high - low for low, high in (bootstrap_interval(values, subjects), bootstrap_interval(values)))
    assert wide > 4 * narrow


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(300):
        low, high = bootstrap_interval(rng.normal(0.5, 0.2, 60), resamples=400)
        hits += low <= 0.5 <= high
    assert 0.90 <= hits / 300 <= 0.98


def test_the_seed_and_not_the_order_decides() -> None:
    rng = np.random.default_rng(4)
    values, subjects = rng.random(40), rng.integers(0, 12, 40)
    order = rng.permutation(40)
    first = bootstrap_interval(values, subjects)
    assert bootstrap_interval(values[order], subjects[order]) == pytest.approx(first, abs=1e-12)
    assert bootstrap_interval(values[order]) == pytest.approx(bootstrap_interval(values), abs=1e-12)
    assert bootstrap_interval(values, subjects, seed=1) != first


@pytest.mark.parametrize("values", [[], [0.5], [0.5, math.nan], [math.nan, math.nan]])
def test_fewer_than_two_subjects_have_no_interval(values: list[float]) -> None:
    assert bootstrap_interval(values) == (None, None)


def test_two_images_of_one_subject_have_no_interval() -> None:
    assert bootstrap_interval([0.1, 0.9], ["a", "a"]) == (None, None)


def test_undefined_values_are_left_out() -> None:
    values, subjects = [0.1, math.nan, 0.5, 0.9, math.nan], ["a", "a", "b", "c", "d"]
    low, high = bootstrap_interval(values, subjects)
    assert low == pytest.approx(0.1)
    assert high == pytest.approx(0.9)


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert bootstrap_interval([0.7] * 9) == pytest.approx((0.7, 0.7))


def test_a_higher_level_is_wider() -> None:
    values = np.random.default_rng(5).random(30)
    (low, high), (lower, higher) = (bootstrap_interval(values, level=level) for level in (0.9, 0.99))
    assert lower < low < high < higher


def test_ten_thousand_subjects_are_drawn_in_parts_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    sums, counts = rng.random((50, 3)), np.ones((50, 3))
    whole = bootstrap_intervals(sums, counts, resamples=300)
    monkeypatch.setattr("pipeline.metrics.bootstrap.CHUNK", 50 * 7)
    parts = bootstrap_intervals(sums, counts, resamples=300)
    assert np.array(parts) == pytest.approx(np.array(whole), abs=1e-12)
