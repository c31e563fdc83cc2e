"""Every subject as a dot that can be hovered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from pipeline.report.chart import Axis, Chart, colour, ticks
from pipeline.report.choice import thinned
from pipeline.report.evaluation import EvaluationView
from pipeline.report.measures import MEASURES

__all__ = ["subject_plots"]

# Dots of one chart: more of them make the page heavy and nothing clearer.
DOTS = 300

_BY_KEY = {measure.key: measure for measure in MEASURES}


def subject_plots(evaluation: EvaluationView) -> list[tuple[str, Markup]]:
    """(caption, chart): Dice of every subject by rank; distance against Dice; area error against size.

    None where no subject has a Dice.
    """
    table = evaluation.subjects
    order = table.groupby("subject")["dice"].mean().dropna().sort_values(kind="stable")
    ranked = list(order.index)
    if not ranked:
        return []
    shown = thinned(ranked, max(30, DOTS // len(evaluation.classes)))
    left_out = "" if len(shown) == len(ranked) else (
        f" Of {len(ranked)} subjects {len(shown)} are drawn: the worst {len(shown) // 3}, and the others at even steps."
    )  # fmt: skip
    by = " by the mean over the classes" if len(evaluation.classes) > 1 else ""
    rank = {subject: number for number, subject in enumerate(ranked, 1)}
    rows = table[table["subject"].isin(set(shown))].assign(rank=lambda t: t["subject"].map(rank))
    images = evaluation.images.groupby("subject")["image"].apply(list)
    rows = rows.assign(tip=[_tip(evaluation, row, images[row["subject"]]) for row in rows.to_dict("records")])
    plots = [
        (
            f"Dice of each subject, from the worst to the best{by}.{left_out}",
            _rank_axis(len(ranked)),
            Axis.around("Dice", rows["dice"], include=(1.0,)),
            ("rank", "dice"),
        )
    ]
    if "hd95" in rows and rows["hd95"].notna().any():
        measure = _BY_KEY["hd95"]
        plots.append(
            (
                "How far apart the outlines are at worst, against Dice: a small island far away costs little Dice.",
                Axis.around("Dice", rows["dice"], include=(1.0,)),
                Axis.around(measure.title(evaluation.unit), rows["hd95"], include=(0.0,)),
                ("dice", "hd95"),
            )
        )
    if {"area_error", "size"} <= {*rows} and rows["area_error"].notna().any():
        rows["error"] = 100 * rows["area_error"]
        plots.append(
            (
                "Area error against the size of the object: whether small ones are drawn too large or too small.",
                Axis.by_factors("reference, pixels", rows["size"]),
                Axis.around("area error, %", rows["error"], include=(0.0,) if rows["error"].min() >= 0 else ()),
                ("size", "error"),
            )
        )
    if "nsd" in rows and rows["nsd"].notna().any():
        tolerance = evaluation.record.get("nsd_tolerance", {}).get(evaluation.unit)
        within = f" within {tolerance:g} {evaluation.unit}" if tolerance is not None else ""
        plots.append(
            (
                f"Share of the outlines that agree{within} (surface Dice) against Dice.",
                Axis.around("Dice", rows["dice"], include=(1.0,)),
                Axis.around("surface Dice", rows["nsd"], include=(0.0, 1.0)),
                ("dice", "nsd"),
            )
        )
    return [(caption, _drawn(evaluation, rows, x, y, names)) for caption, x, y, names in plots]


def _rank_axis(count: int) -> Axis:
    gap = 0.5 + 0.02 * count
    marks = [value for value in ticks(1, count, 6) if value >= 1 and value == int(value)]
    return Axis("subject, by rank", 1 - gap, count + gap, marks)


def _drawn(evaluation: EvaluationView, rows: pd.DataFrame, x: Axis, y: Axis, names: tuple[str, str]) -> Markup:
    chart = Chart(x, y)
    if y.low < 0 < y.high:
        chart.rule(y=0.0)
    several = len(evaluation.classes) > 1
    for number, name in enumerate(evaluation.classes):
        own = rows[rows["class"] == name].sort_values([names[0], "subject"])
        dots = list(zip(own[names[0]], own[names[1]], own["tip"], strict=True))
        chart.dots(dots, colour(number), name=name if several else "", shape=number)
    return chart.svg(f"{y.label} against {x.label}, one dot a subject{' and class' * several}")


def _tip(evaluation: EvaluationView, row: Mapping[str, Any], images: Sequence[str]) -> str:
    """What a dot says: whose it is, and its figures."""
    names = ", ".join(_cut(evaluation.short[name]) for name in images[:2])
    more = f" and {len(images) - 2} more" if len(images) > 2 else ""
    figures = [
        f"{measure.label} {measure.text(row[measure.key])}"
        for measure in evaluation.measures
        if measure.key in ("dice", "hd95", "nsd", "area_error")
    ]
    several = f"{row['class']}\n" if len(evaluation.classes) > 1 else ""
    return f"{several}subject {row['subject'][:12]}\n{names}{more}\n{', '.join(figures)}"


def _cut(name: str, longest: int = 36) -> str:
    """A long file name without its middle."""
    return name if len(name) <= longest else f"{name[: longest - 18]}…{name[-17:]}"
