"""Prediction of the Dice: never falling, unbiased, with an interval that holds and a limit that can be counted."""

import numpy as np
import pytest

from pipeline.gate import Band, DiceModel, dice_band, held_out_predictions, lowest_acceptable


def simulated(number: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors that are powers of the signals', with noise."""
    rng = np.random.default_rng(seed)
    hard = rng.uniform(0.02, 0.5, number)
    confidence = 1 - hard * rng.lognormal(0, 0.1, number)
    agreement = 1 - np.clip(1.5 * hard * rng.lognormal(0, 0.2, number), 0, 1)
    dice = 1 - np.clip(0.8 * hard * rng.lognormal(0, 0.3, number), 0, 1)
    return confidence.clip(0, 1), agreement, dice


def test_the_dice_of_new_predictions_is_foretold_without_bias() -> None:
    model = DiceModel.fit(*simulated(400, 0))
    confidence, agreement, dice = simulated(400, 1)
    predicted = model.predict(confidence, agreement)
    assert abs(float((predicted - dice).mean())) < 0.02
    assert np.corrcoef(predicted, dice)[0, 1] > 0.8


def test_a_better_signal_never_foretells_a_worse_dice() -> None:
    confidence, agreement, dice = simulated(100, 2)
    model = DiceModel.fit(1 - confidence, agreement, dice)  # one signal points the wrong way
    assert model.confidence == 0.0
    grid = np.linspace(0, 1, 50)
    for predicted in (model.predict(grid, np.full(50, 0.7)), model.predict(np.full(50, 0.7), grid)):
        assert (np.diff(predicted) >= 0).all()
        assert predicted.min() >= 0
        assert predicted.max() <= 1


def test_signals_that_are_all_the_same_foretell_the_mean_error() -> None:
    same = np.full(30, 0.9)
    dice = np.linspace(0.6, 1.0, 30)
    assert float(DiceModel.fit(same, same, dice).predict(same[:1], same[:1])[0]) == pytest.approx(0.8, abs=1e-6)


def test_a_case_of_weight_two_counts_as_two_cases() -> None:
    confidence, agreement, dice = simulated(40, 4)
    weights = np.where(np.arange(40) < 10, 2.0, 1.0)
    twice = np.repeat(np.arange(40), np.where(np.arange(40) < 10, 2, 1))
    weighted = DiceModel.fit(confidence, agreement, dice, weights * 50 / 40)
    repeated = DiceModel.fit(confidence[twice], agreement[twice], dice[twice])
    # The penalty weighs against the number of cases, which differs.
    np.testing.assert_allclose(
        weighted.predict(confidence, agreement), repeated.predict(confidence, agreement), atol=0.01
    )
    unweighted = DiceModel.fit(confidence, agreement, dice)
    assert not np.allclose(weighted.predict(confidence, agreement), unweighted.predict(confidence, agreement))


def test_a_held_out_prediction_does_not_know_its_own_subject() -> None:
    confidence, agreement, dice = simulated(100, 3)
    subjects = [f"s{k // 5}" for k in range(100)]
    before = held_out_predictions(confidence, agreement, dice, subjects, np.ones(100))
    dice[:5] = 0.0
    after = held_out_predictions(confidence, agreement, dice, subjects, np.ones(100))
    np.testing.assert_array_equal(before[:5], after[:5])
    assert not np.array_equal(before[5:], after[5:])


def test_of_one_subject_nothing_is_held_out() -> None:
    assert held_out_predictions(*simulated(40, 5), ["one"] * 40, np.ones(40)) is None


def test_the_interval_holds_for_new_subjects_though_variants_of_one_err_alike() -> None:
    rng = np.random.default_rng(0)

    def draw(subjects: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
        own = np.repeat(rng.lognormal(0, 0.6, subjects), 10)
        predicted = rng.uniform(0.6, 0.95, subjects * 10)
        error = (1 - predicted) * own * rng.lognormal(0, 0.1, subjects * 10)
        return predicted, 1 - error.clip(0, 1), [str(k // 10) for k in range(subjects * 10)]

    held = []
    for _ in range(60):
        band = dice_band(*draw(30), level=0.9)
        predicted, dice, _ = draw(20)
        ends = [band.interval(float(p)) for p in predicted]
        held.append(np.mean([low <= d <= high for (low, high), d in zip(ends, dice, strict=True)]))
    assert 0.88 <= float(np.mean(held)) <= 0.96


def test_few_subjects_hold_no_high_level() -> None:
    predicted, dice = np.full(40, 0.8), np.linspace(0.7, 0.9, 40)
    band = dice_band(predicted, dice, [str(k % 4) for k in range(40)], level=0.9)
    assert band.level == pytest.approx(1 - 2 / 5)
    assert band.interval(0.8) == pytest.approx((0.7, 0.9), abs=1e-9)
    assert dice_band(predicted, dice, ["one"] * 40).level == 0.0


def test_an_interval_stays_between_0_and_1_and_holds_the_prediction() -> None:
    band = Band(0.9, 3.0, 0.3)
    for predicted in np.linspace(0, 1, 21):
        low, high = band.interval(float(predicted))
        assert 0 <= low <= predicted + 1e-9
        assert predicted - 1e-9 <= high <= 1


def test_the_limit_keeps_the_share_of_bad_predictions_below_the_risk() -> None:
    predicted = np.linspace(1.0, 0.02, 50)
    dice = np.where(np.arange(50) < 30, 0.9, 0.1)
    # Of the best 30 none is bad, of 31 one: (1 + 1) / (31 + 1) is above 5 %, (0 + 1) / (30 + 1) below.
    assert lowest_acceptable(predicted, dice, 0.5, 0.05) == predicted[29]
    assert lowest_acceptable(predicted, dice, 0.5, 0.10) == predicted[31]


@pytest.mark.parametrize("next_counts", [True, False])
def test_predictions_that_are_equal_are_accepted_all_or_none(next_counts: bool) -> None:
    # Of the 40 at 0.9 half are bad: those that happen to stand first are no better than the others.
    predicted = np.repeat([0.95, 0.9, 0.8], [30, 40, 10])
    dice = np.repeat([0.9, 0.9, 0.1, 0.1], [30, 20, 20, 10])
    assert lowest_acceptable(predicted, dice, 0.5, 0.05, next_counts=next_counts) == 0.95
    assert lowest_acceptable(predicted[30:], dice[30:], 0.5, 0.05, next_counts=next_counts) is None
    assert lowest_acceptable(predicted, dice, 0.5, 0.35, next_counts=next_counts) == 0.9


def test_too_few_predictions_cannot_hold_the_risk() -> None:
    predicted, dice = np.linspace(1, 0.5, 12), np.full(12, 0.9)
    assert lowest_acceptable(predicted, dice, 0.5, 0.05) is None
    assert lowest_acceptable(predicted, dice, 0.5, 0.05, next_counts=False) == 0.5
    assert lowest_acceptable(predicted, np.zeros(12), 0.5, 0.05, next_counts=False) is None
