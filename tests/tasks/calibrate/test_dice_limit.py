"""From which predicted Dice on a gate accepts: where the limit gives way to ordinary pictures, and where not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.tasks.calibrate.dice import NEVER, _dice_limit

MINIMUM, RISK = 0.5, 0.05
CLEAN = np.arange(300) < 40


def predictions(failures: int, scatter: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predicted and true Dice of 40 pictures as they are, some of them failures that are foretold, and 260 worse."""
    rng = np.random.default_rng(0)
    good = 40 - failures
    guessed = np.r_[rng.uniform(0.85, 0.95, good), rng.uniform(0.2, 0.45, failures), rng.uniform(0.3, 0.95, 260)]
    whole = np.r_[rng.uniform(0.85, 0.95, good), rng.uniform(0.1, 0.4, failures), guessed[40:]]
    whole[40:] += rng.normal(0, scatter, 260)
    return guessed, whole.clip(0, 1)


def limit_of(failures: int, scatter: float, *, given: bool = False) -> tuple[float, float, list[str]]:
    guessed, whole = predictions(failures, scatter)
    return _dice_limit(guessed, whole, np.ones(300, dtype=bool), CLEAN, MINIMUM, RISK, given)


def test_a_limit_that_holds_the_risk_stays_where_more_than_a_tenth_of_the_pictures_as_they_are_fail() -> None:
    limit, kept, notes = limit_of(6, 0.03)
    assert 0.45 < limit < 0.6
    assert kept == pytest.approx(34 / 40)
    assert notes == []
    assert (limit, kept, notes) == limit_of(6, 0.03, given=True)


def test_the_limit_gives_way_to_ordinary_pictures_that_are_foretold_results() -> None:
    limit, kept, notes = limit_of(0, 0.5)
    held, fewer, _ = limit_of(0, 0.5, given=True)
    assert limit < held
    assert fewer < kept == pytest.approx(0.9)
    assert "gives way" in notes[0]


@pytest.mark.parametrize("clean", [CLEAN, np.zeros(300, dtype=bool)])
def test_where_no_limit_holds_the_risk_and_ordinary_pictures_fail_or_lack_all_go_to_review(
    clean: NDArray[np.bool_],
) -> None:
    guessed = predictions(6, 0.03)[0]
    whole = np.where(np.arange(300) % 2, 0.9, 0.1)
    limit, kept, notes = _dice_limit(guessed, whole, np.ones(300, dtype=bool), clean, MINIMUM, RISK, False)
    assert (limit, kept) == (NEVER, 0.0)
    assert "No limit holds the risk" in notes[-1]
