from __future__ import annotations

import pytest

from pipeline.report.choice import extremes, spread, thinned, thinned_to_both_ends


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, ([], [], [])),
        (1, ([0], [], [])),
        (2, ([0], [], [1])),
        (3, ([0], [1], [2])),
        (7, ([0, 1], [2, 3], [5, 6])),
        (9, ([0, 1, 2], [3, 4, 5], [6, 7, 8])),
        (101, ([0, 1, 2], [49, 50, 51], [98, 99, 100])),
    ],
)
def test_worst_median_and_best_have_no_case_in_common(count: int, expected: tuple[list[int], ...]) -> None:
    found = extremes(range(count))
    assert (found["worst"], found["median"], found["best"]) == expected
    shown = [case for cases in found.values() for case in cases]
    assert len(shown) == len(set(shown))


def test_a_spread_holds_both_ends_at_even_steps() -> None:
    assert spread(range(100), 5) == [0, 25, 50, 74, 99]
    assert spread(range(4), 9) == [0, 1, 2, 3]


def test_thinning_keeps_every_one_of_the_worst() -> None:
    kept = thinned(range(1000), 90)
    assert kept[:30] == list(range(30))
    assert kept[-1] == 999
    assert len(kept) == 90
    assert kept == sorted(set(kept))
    assert thinned(range(50), 90) == list(range(50))


def test_thinning_to_both_ends_keeps_the_best_too() -> None:
    kept = thinned_to_both_ends(range(1000), 90)
    assert (kept[:30], kept[-30:]) == (list(range(30)), list(range(970, 1000)))
    assert len(kept) == 90
    assert kept == sorted(set(kept))
