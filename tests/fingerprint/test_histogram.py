"""Histograms of values of unknown range, and pooling them."""

import numpy as np
import pytest

from pipeline.fingerprint import histogram as module
from pipeline.fingerprint.histogram import Histogram, Pool, added, histograms_by_class


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32"])
def test_integers_are_counted_exactly(dtype):
    low, high = (0, 200) if dtype == "uint8" else (0 if dtype == "uint16" else -3000, 30000)
    values = np.random.default_rng(0).integers(low, high, (40, 50)).astype(dtype)
    histogram = Histogram.of(values)
    found, counts = np.unique(values, return_counts=True)
    np.testing.assert_array_equal(histogram.values, found)
    np.testing.assert_array_equal(histogram.counts, counts)
    assert histogram.mean() == pytest.approx(values.mean())
    assert histogram.std() == pytest.approx(values.std())


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e6])
def test_floats_of_any_scale_are_off_by_a_thousandth_at_most(scale):
    values = (np.random.default_rng(1).normal(size=100_000) * scale).astype(np.float32)
    histogram = Histogram.of(values)
    assert histogram.total == values.size
    for share in (0.005, 0.25, 0.75, 0.995):
        exact = np.quantile(values, share, method="inverted_cdf")
        assert histogram.quantile(share) == pytest.approx(exact, rel=1.01e-3)
    assert histogram.values[0] == pytest.approx(values.min(), rel=1.01e-3)
    assert len(histogram.values) < 30_000


def test_the_sign_of_zero_does_not_matter():
    histogram = Histogram.of(np.array([-0.0, 0.0, 1.0], np.float32))
    np.testing.assert_array_equal(histogram.values, [0, 1])
    np.testing.assert_array_equal(histogram.counts, [2, 1])


def test_what_is_not_finite_is_left_out():
    histogram = Histogram.of(np.array([np.nan, 1, np.inf, 2, -np.inf], np.float32))
    np.testing.assert_array_equal(histogram.values, [1, 2])
    assert not len(Histogram.of(np.full(3, np.nan, np.float32)).values)


def test_each_class_has_its_own_values():
    outside, inside, absent = histograms_by_class(np.array([[5, 5], [9, 7]]), np.array([[0, 0], [1, 1]], np.uint8), 3)
    np.testing.assert_array_equal(outside.values, [5])
    np.testing.assert_array_equal(inside.values, [7, 9])
    assert absent.total == 0


def test_chunks_and_sparse_tables_change_nothing(monkeypatch):
    random = np.random.default_rng(2)
    values, classes = random.integers(0, 5000, 3000), random.integers(0, 3, 3000).astype(np.uint8)
    whole = histograms_by_class(values, classes, 3)
    monkeypatch.setattr(module, "PIXELS_AT_ONCE", 97)
    monkeypatch.setattr(module, "MOST_BINS", 1000)
    for one, other in zip(whole, histograms_by_class(values, classes, 3), strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.counts, other.counts)


def test_quantile_is_the_smallest_value_that_the_share_does_not_exceed():
    histogram = Histogram(np.array([1.0, 2.0, 10.0]), np.array([2, 1, 1]))
    assert [histogram.quantile(share) for share in (0, 0.5, 0.51, 0.75, 1)] == [1, 1, 2, 2, 10]


def test_a_large_picture_weighs_no_more_than_a_small_one():
    pool = Pool(equal=True)
    pool.add(Histogram.of(np.zeros(1_000_000, np.uint8)))
    pool.add(Histogram.of(np.full(10, 8, np.uint8)))
    assert pool.result().mean() == pytest.approx(4, rel=1e-4)


def test_counts_count_where_the_weights_are_not_equal():
    pool = Pool(equal=False)
    pool.add(Histogram.of(np.zeros(30, np.uint8)))
    pool.add(Histogram.of(np.full(10, 8, np.uint8)))
    assert pool.result().mean() == 2


def test_the_order_of_the_cases_changes_nothing(monkeypatch):
    monkeypatch.setattr(module, "BINS_KEPT", 200)  # so that the pool adds up now and then
    parts = [Histogram.of(np.random.default_rng(k).normal(size=999)) for k in range(20)]
    results = []
    for order in (parts, parts[::-1]):
        pool = Pool(equal=True)
        for part in order:
            pool.add(part)
        results.append(pool.result())
    np.testing.assert_array_equal(results[0].values, results[1].values)
    np.testing.assert_array_equal(results[0].counts, results[1].counts)


def test_nothing_added_is_an_empty_histogram():
    assert Pool(equal=True).result().total == 0
    assert added([Histogram.empty(), Histogram.empty()]).total == 0
