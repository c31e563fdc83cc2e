"""Risk and coverage worked out by hand."""

import numpy as np
import pytest

from pipeline.gate import risk_coverage


def test_risk_is_the_mean_error_of_what_is_kept() -> None:
    curve = risk_coverage(np.array([0.1, 0.9, 0.5, 0.7]), np.array([0.2, 1.0, 0.6, 0.8]))
    np.testing.assert_allclose(curve.coverage, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(curve.risk, [0.0, 0.1, 0.2, 0.35])
    assert curve.aurc == pytest.approx(0.1625)


def test_the_oracle_is_never_worse_and_chance_is_the_whole_mean() -> None:
    rng = np.random.default_rng(0)
    dice, score = rng.random(50), rng.random(50)
    figures = risk_coverage(score, dice).document()
    assert figures["aurc_oracle"] <= figures["aurc"]
    assert figures["aurc_chance"] == pytest.approx(1 - dice.mean(), abs=1e-6)


def test_at_a_coverage_the_best_scores_are_kept() -> None:
    dice = np.linspace(0.1, 1.0, 10)
    kept = risk_coverage(dice, dice).at(0.8)
    assert kept["n"] == 8
    assert kept["min"] == pytest.approx(0.3)
    assert kept["p5"] == pytest.approx(np.quantile(dice[2:], 0.05))
    assert risk_coverage(dice, dice).at(0.81)["n"] == 9


def test_ties_are_kept_in_the_order_given() -> None:
    curve = risk_coverage(np.zeros(3), np.array([0.3, 0.9, 0.6]))
    np.testing.assert_allclose(curve.dice, [0.3, 0.9, 0.6])
