"""Figures of a gate are called held out only where each prediction is by a model of other subjects."""

from typing import Any

import numpy as np
import pytest

from pipeline.gate import ClassSignals, held_out_predictions
from pipeline.tasks.calibrate.dice import FittedDice, fit_dice
from pipeline.tasks.calibrate.observing import Sample
from pipeline.tasks.infer.prediction import Observation

LABELS = {0: "background", 1: "lung", 2: "heart"}
AIMS = (None, 0.05)


def samples(subjects: list[str], seed: int = 0, hearts: int | None = None) -> list[Sample]:
    """One prediction each, of lung and heart; only the first `hearts` find a heart."""
    rng = np.random.default_rng(seed)
    made = []
    for number, subject in enumerate(subjects):
        hard = rng.uniform(0.05, 0.5, 2)
        absent = np.array([False, hearts is not None and number >= hearts])
        signals = ClassSignals(confidence=1 - hard, agreement=1 - 1.2 * hard, absent=absent)
        seen = Observation(signals, [], None)
        dice = 1 - (0.8 * hard * rng.lognormal(0, 0.2, 2)).clip(0, 1)
        made.append(Sample(subject, number % 4 != 0, seen, np.where(absent, np.nan, dice), ()))
    return made


def fitted(made: list[Sample]) -> FittedDice:
    return fit_dice(made, LABELS, np.ones(len(made), dtype=bool), AIMS)


def test_of_several_subjects_the_figures_are_held_out() -> None:
    found = fitted(samples([f"s{number % 8}" for number in range(64)]))
    assert found.record["held_out"]["mean_absolute_error"] > 0
    assert "in_sample" not in found.record
    assert not [note for note in found.notes if "fitted to" in note]


def test_of_one_subject_the_figures_are_of_the_masks_it_was_fitted_to_and_the_user_is_told() -> None:
    found = fitted(samples(["one"] * 64))
    assert found.record["held_out"] is None
    assert found.record["in_sample"]["mean_absolute_error"] > 0
    assert any("the masks that the gate was fitted to" in note for note in found.notes)


def test_a_rare_class_that_borrows_from_the_others_is_held_out_by_subject_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def predictions(confidence: Any, agreement: Any, dice: Any, groups: list[str], weights: Any) -> Any:
        asked.append(tuple(groups))
        return held_out_predictions(confidence, agreement, dice, groups, weights)

    monkeypatch.setattr("pipeline.gate.held_out_predictions", predictions)
    subjects = [f"s{number % 8}" for number in range(64)]
    found = fitted(samples(subjects, hearts=16))
    assert found.record["held_out"] is not None
    lungs, hearts = asked
    assert list(lungs) == subjects
    assert sorted(hearts) == sorted([*subjects, *subjects[:16]])
