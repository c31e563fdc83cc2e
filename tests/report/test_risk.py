from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from evaluation_phantoms import evaluated, films

from pipeline.report.evaluation import EvaluationView, view_evaluation
from pipeline.report.risk import gate_curves, gate_outcome, predicted_dice_chart, risk_coverage_chart


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> EvaluationView:
    folder = tmp_path_factory.mktemp("gate")
    return view_evaluation(evaluated(folder / "ev", films(folder / "films")))


def gated(view: EvaluationView, decisions: list[str], predicted: list[float] | None = None) -> EvaluationView:
    images = view.images
    told = images["dice"] if predicted is None else predicted
    return replace(view, gate=pd.DataFrame({"image": images["image"], "predicted_dice": told, "decision": decisions}))


def test_the_curves_are_those_of_the_gate_and_of_the_best_order(view: EvaluationView) -> None:
    dice = view.images["dice"].to_numpy()
    curves = gate_curves(gated(view, ["accept"] * 12, list(1 - dice)))  # a gate that trusts the worst
    assert curves is not None
    gate, ideal = curves
    assert gate.dice.tolist() == pytest.approx(sorted(dice))
    assert ideal.dice.tolist() == pytest.approx(sorted(dice)[::-1])
    assert gate.aurc > float(1 - dice.mean()) > ideal.aurc


def test_a_tie_flatters_nobody(view: EvaluationView) -> None:
    curves = gate_curves(gated(view, ["accept"] * 12, [0.5] * 12))
    assert curves is not None
    assert curves[0].dice[0] == view.images["dice"].min()


def test_a_mask_in_which_nothing_was_found_is_the_last_to_be_kept(view: EvaluationView) -> None:
    dice = view.images["dice"].tolist()
    curves = gate_curves(gated(view, ["accept"] * 12, [float("nan") if k == 3 else one for k, one in enumerate(dice)]))
    assert curves is not None
    assert len(curves[0].dice) == 12
    assert curves[0].dice[-1] == dice[3]


def test_a_score_of_the_gates_own_goes_before_the_predicted_dice(view: EvaluationView) -> None:
    scored = gated(view, ["accept"] * 12)
    assert scored.gate is not None
    curves = gate_curves(replace(scored, gate=scored.gate.assign(score=-scored.gate["predicted_dice"])))
    assert curves is not None
    assert curves[0].dice.tolist() == pytest.approx(sorted(view.images["dice"]))


def test_the_outcome_counts_the_accepted_and_their_dice(view: EvaluationView) -> None:
    decisions = ["review"] * 4 + ["accept"] * 8  # the images of a view go from the worst to the best
    outcome = gate_outcome(gated(view, decisions))
    dice = view.images["dice"].to_numpy()
    assert outcome is not None
    assert (outcome.images, outcome.accepted) == (12, 8)
    rows = list(outcome.rows.values())
    assert [row["n"] for row in rows] == [8, 10, 12]
    assert rows[0]["mean"] == pytest.approx(dice[4:].mean())
    assert rows[0]["p5"] == pytest.approx(np.percentile(dice[4:], 5))
    assert rows[1]["min"] == pytest.approx(dice[2])
    assert rows[2]["min"] == pytest.approx(dice[0])
    assert outcome.predicted_error == 0
    assert outcome.aurc is not None
    assert outcome.aurc[0] == pytest.approx(outcome.aurc[1])


def test_a_gate_that_accepts_nothing_or_knows_no_image_is_no_trouble(view: EvaluationView) -> None:
    nothing = gate_outcome(gated(view, ["review"] * 12))
    assert nothing is not None
    assert nothing.accepted == 0
    assert nothing.rows["accepted by the gate"] == {"n": 0}
    assert predicted_dice_chart(view) is None
    other = replace(view, gate=pd.DataFrame({"image": ["x"], "predicted_dice": [0.5], "decision": ["accept"]}))
    assert gate_outcome(other) is None
    assert gate_outcome(view) is None
    assert risk_coverage_chart(view) is None


def test_the_chart_says_how_much_the_gate_accepts(view: EvaluationView) -> None:
    chart = risk_coverage_chart(gated(view, ["review"] * 3 + ["accept"] * 9))
    assert chart is not None
    assert "the gate accepts 75 %" in chart
    assert "100 % accepted (12 images)" in chart


def test_the_reasons_are_counted_and_each_image_says_its_own(view: EvaluationView) -> None:
    scored = gated(view, ["review"] * 3 + ["accept"] * 9)
    assert scored.gate is not None
    far = "The picture is unlike those of the training set: distance 3.10, limit 2.00. What is predicted is not sure."
    low = "Predicted Dice {}, limit 0.800."
    reasons = [
        f"{far} | {low.format(0.5)}",
        low.format(0.612),
        f"{low.format(0.7)} | lung: 3 objects; expected 1 to 2.",
    ]
    scored = replace(scored, gate=scored.gate.assign(reasons=[*reasons, *[""] * 9]))
    outcome, chart = gate_outcome(scored), predicted_dice_chart(scored)
    assert outcome is not None
    assert outcome.reasons == [
        ("Predicted Dice …, limit ….", 3),
        (far.replace("3.10", "…").replace("2.00", "…"), 1),
        ("lung: … objects; expected … to ….", 1),
    ]
    assert chart is not None
    assert "review: Predicted Dice 0.612" in chart
    assert chart.count("data-tip=") == 12
