"""What the gate is good for: the score of what it accepts against how much that is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from pipeline.gate import REASON_SEPARATOR, RiskCoverage, risk_coverage
from pipeline.report.chart import Axis, Chart, colour
from pipeline.report.choice import spread, thinned
from pipeline.report.evaluation import EvaluationView

__all__ = ["GateOutcome", "gate_curves", "gate_outcome", "predicted_dice_chart", "risk_coverage_chart"]

DOTS = 200  # of one decision
FEWEST = 5  # a 5th percentile of fewer is one case
HELD = 0.8  # the coverage at which gates are usually compared


@dataclass(frozen=True)
class GateOutcome:
    """What the gate did with the images of an evaluation.

    Attributes:
        images: Images with a decision and a Dice.
        accepted: Those accepted.
        rows: What is kept → number, mean, 5th percentile and worst Dice ("n", "mean", "p5", "min").
        aurc: Area under the risk–coverage curve: of the gate, of the best possible order, of a random one; None if no
            Dice was predicted.
        predicted_error: Mean absolute difference between predicted and true Dice, or None.
        reasons: Why images are sent to review, with their number, the most frequent first.
    """

    images: int
    accepted: int
    rows: Mapping[str, Mapping[str, float]]
    aurc: tuple[float, float, float] | None
    predicted_error: float | None
    reasons: list[tuple[str, int]]


def gate_outcome(evaluation: EvaluationView) -> GateOutcome | None:
    """Summary of the gate's decisions; None if there is no gate or it knows none of the images."""
    table = _joined(evaluation)
    if table.empty:
        return None
    accepted = table[table["decision"] == "accept"]
    rows = {"accepted by the gate": _figures(accepted["dice"])}
    curves = gate_curves(evaluation)
    aurc = None
    if curves is not None:
        gate, ideal = curves
        rows[f"the {HELD:.0%} that it trusts most".replace("%", "\u00a0%")] = gate.at(HELD)
        aurc = (gate.aurc, ideal.aurc, float(1 - gate.dice.mean()))
    rows["all"] = _figures(table["dice"])
    error = (table["predicted_dice"] - table["dice"]).abs().dropna()
    counted = Counter(
        kind for reasons in table.loc[table["decision"] != "accept", "reasons"] for kind in _kinds(reasons)
    )
    return GateOutcome(
        images=len(table),
        accepted=len(accepted),
        rows=rows,
        aurc=aurc,
        predicted_error=float(error.mean()) if len(error) else None,
        reasons=sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])),
    )


def gate_curves(evaluation: EvaluationView) -> tuple[RiskCoverage, RiskCoverage] | None:
    """The curve of the gate and the best that any order could do; None for too few images."""
    table = _joined(evaluation).dropna(subset=["score"])
    if len(table) < FEWEST:
        return None
    # The images stand from the worst to the best, so that a tie of the score flatters nobody.
    dice = table["dice"].to_numpy(dtype=float)
    return risk_coverage(table["score"].to_numpy(dtype=float), dice), risk_coverage(dice, dice)


def risk_coverage_chart(evaluation: EvaluationView) -> Markup | None:
    """Mean and 5th percentile of Dice against the share of images accepted."""
    curves = gate_curves(evaluation)
    if curves is None:
        return None
    gate, ideal = curves
    steps = spread(range(len(gate.dice)), 200)
    lines = [
        {
            "mean": [(float(curve.coverage[k]), float(1 - curve.risk[k])) for k in steps],
            "5th percentile": [
                (float(curve.coverage[k]), float(np.quantile(curve.dice[: k + 1], 0.05)))
                for k in steps
                if k + 1 >= FEWEST
            ],
        }
        for curve in (gate, ideal)
    ]
    values = [y for of_curve in lines for points in of_curve.values() for _, y in points]
    chart = Chart(
        Axis("share of images accepted (coverage)", 0.0, 1.0),
        Axis.around("Dice of those accepted", values, include=(1.0,)),
    )
    accepted = float((_joined(evaluation)["decision"] == "accept").mean())
    chart.rule(x=accepted, name=f"the gate accepts {100 * accepted:.0f} %")
    for number, name in enumerate(lines[0]):
        chart.line(lines[1][name], colour(number), dash=True, width=1)
        chart.line(lines[0][name], colour(number), name=name)
        tips = [
            (x, y, f"{100 * x:.0f} % accepted ({round(x * len(gate.dice))} images)\n{name} {y:.3f}")
            for x, y in spread(lines[0][name], 21)
        ]
        chart.dots(tips, colour(number), shape=number)
    return chart.svg("Dice of the accepted images against the share accepted")


def predicted_dice_chart(evaluation: EvaluationView) -> Markup | None:
    """The true Dice of every image against the predicted one; None where nothing was predicted."""
    table = _joined(evaluation).dropna(subset=["predicted_dice"])
    if table.empty:
        return None
    values = [*table["predicted_dice"], *table["dice"]]
    chart = Chart(
        Axis.around("predicted Dice", values, include=(1.0,)),
        Axis.around("true Dice", values, include=(1.0,)),
        height=340.0,
    )
    chart.diagonal()
    for number, (decision, shape) in enumerate((("accept", 0), ("review", 2))):
        rows = thinned(table[table["decision"] == decision].to_dict("records"), DOTS)
        tips = [
            (row["predicted_dice"], row["dice"], _judged(evaluation.short[row["image"]], decision, row)) for row in rows
        ]
        if tips:
            chart.dots(tips, colour(number), name=decision, shape=shape)
    return chart.svg("True Dice against predicted Dice, one dot an image")


def _judged(name: str, decision: str, row: Mapping[Any, Any]) -> str:
    """What a dot says."""
    why = f": {row['reasons']}" if row["reasons"] else ""
    return f"{name}\npredicted {row['predicted_dice']:.3f}, true {row['dice']:.3f}\n{decision}{why}"


def _kinds(reasons: str) -> set[str]:
    """The reasons of a cell without their numbers, by which they can be counted."""
    return {re.sub(r"\d+(\.\d+)?", "…", reason) for reason in reasons.split(REASON_SEPARATOR) if reason}


def _figures(dice: pd.Series) -> dict[str, float]:
    if dice.empty:
        return {"n": 0}
    return {
        "n": len(dice),
        "mean": float(dice.mean()),
        "p5": float(dice.quantile(0.05)),
        "min": float(dice.min()),
    }


def _joined(evaluation: EvaluationView) -> pd.DataFrame:
    """Decision, predicted Dice and score beside the true Dice, for the images that have one, the worst first."""
    if evaluation.gate is None:
        return pd.DataFrame(columns=["image", "dice", "predicted_dice", "decision", "score", "reasons"])
    gate = evaluation.gate
    if "score" not in gate:
        # A mask in which nothing was found is the last to be kept.
        gate = gate.assign(score=gate["predicted_dice"].fillna(0.0))
    if "reasons" not in gate:
        gate = gate.assign(reasons="")
    columns = ["image", "predicted_dice", "decision", "score", "reasons"]
    return evaluation.images.merge(gate[columns], on="image").dropna(subset=["dice"])
