"""When a change is kept, on numbers made for it."""

import numpy as np
import pytest

from pipeline.tasks.find_best.rule import LEAST_CHANGED, verdict

RNG = np.random.default_rng
FOLDS = [n % 5 for n in range(40)]


def gains(*columns: object) -> np.ndarray:
    return np.stack([np.broadcast_to(np.asarray(column, float), 40) for column in columns], axis=1)


def test_a_gain_of_nearly_all_subjects_is_kept() -> None:
    found = verdict(gains(0.0, RNG(0).normal(0.02, 0.01, 40)), FOLDS)
    assert found.kept
    assert found.best == 1
    assert found.why == ""
    assert found.gain.low is not None
    assert found.gain.low < found.gain.mean == pytest.approx(0.02, abs=0.005)
    assert found.leave_fold_out.mean == pytest.approx(found.gain.mean)


def test_a_tie_changes_nothing() -> None:
    found = verdict(gains(0.0, 0.0), FOLDS)
    assert (found.kept, found.best, found.why, found.changed) == (False, None, "no gain", 0)


def test_a_gain_that_no_table_shows_is_not_kept() -> None:
    found = verdict(gains(0.0004), FOLDS)
    assert (found.kept, found.why) == (False, "less than 0.0005")
    assert verdict(gains(0.0006), FOLDS).kept


def test_a_gain_of_few_subjects_is_not_kept_however_large() -> None:
    few = np.zeros(40)
    few[: LEAST_CHANGED - 1] = 0.5
    found = verdict(gains(few), FOLDS)
    assert (found.kept, found.why) == (False, "only 5 subjects change")
    few[: 2 * LEAST_CHANGED] = 0.5
    assert verdict(gains(few), FOLDS).kept


def test_a_gain_within_chance_is_not_kept() -> None:
    found = verdict(gains(RNG(1).normal(0.001, 0.05, 40)), FOLDS)
    assert found.gain.mean > 0.0005
    assert (found.kept, found.why) == (False, "within chance")


def test_the_best_of_many_must_be_better_than_the_best_of_one() -> None:
    """A gain that one candidate would be kept for is not enough if it is the best of forty."""
    drawn = RNG(5).normal(size=40)
    one = 0.008 + 0.02 * (drawn - drawn.mean()) / drawn.std()
    others = [RNG(100 + n).normal(-0.03, 0.02, 40) for n in range(39)]
    assert verdict(gains(one), FOLDS).kept
    found = verdict(gains(one, *others), FOLDS)
    assert found.best == 0
    assert (found.kept, found.why) == (False, "within chance")


def test_a_choice_that_does_not_hold_when_a_fold_is_left_out_is_not_kept() -> None:
    """Each candidate gains much in one fold and loses a little in the others: which is best, only that fold says."""
    columns = [np.where(np.asarray(FOLDS) == fold, 0.3, -0.02) for fold in range(5)]
    found = verdict(gains(*columns), FOLDS)
    assert found.gain.mean == pytest.approx(0.044)
    assert found.leave_fold_out.mean < 0
    assert not found.kept


def test_a_change_by_which_another_class_loses_is_not_looked_at() -> None:
    own = gains(0.05, 0.02)
    others = np.zeros((40, 2, 1))
    others[:, 0] = -0.01
    found = verdict(own, FOLDS, others)
    assert (found.best, found.kept) == (1, True)
    others[:, 1] = -0.001
    assert verdict(own, FOLDS, others).best is None
    assert "a class loses by it" in verdict(own, FOLDS, others).why


def test_the_same_numbers_give_the_same_verdict() -> None:
    column = RNG(3).normal(0.01, 0.02, 40)
    assert verdict(gains(column), FOLDS) == verdict(gains(column.copy()), FOLDS)


def test_noise_is_seldom_kept() -> None:
    """Eight candidates of pure noise, two hundred times: about the one-sided 2.5 % that the interval promises."""
    kept = sum(verdict(RNG(seed).normal(0, 0.01, (40, 8)), FOLDS).kept for seed in range(200))
    assert kept <= 10
