"""The tables of scores with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pipeline.metrics import MEAN_OF_CLASSES
from pipeline.report.evaluation import EvaluationView
from pipeline.report.measures import Measure

__all__ = ["ScoreTable", "called", "glances", "named", "score_tables", "with_interval"]

# Columns of intervals that fit on a page of paper, the widest ones too.
ABREAST = 4
COLUMNS = ["Metric", "Mean (95 % interval)", "Median", "Worst twentieth beyond", "Worst", "n"]


@dataclass(frozen=True)
class ScoreTable:
    """One table.

    Attributes:
        caption: What it is about.
        columns: Names; the first is that of the rows' names.
        rows: Cells as text or Markup.
    """

    caption: str
    columns: list[str]
    rows: list[list[str]]


def with_interval(measure: Measure, figures: Mapping[str, Any], *, signed: bool = False) -> str:
    """The mean with its interval, where there is one."""
    mean, low, high = (figures.get(key) for key in ("mean", "ci_low", "ci_high"))
    if mean is None:
        return "–"
    text = measure.text(mean, signed=signed)
    if low is None or high is None:
        return text
    return f"{text} ({measure.text(low, signed=signed)} to {measure.text(high, signed=signed)})"


def called(label: str) -> str:
    """A class, or the mean of them, for people."""
    return "mean of the classes" if label == MEAN_OF_CLASSES else label


def named(measure: Measure, unit: str) -> Markup:
    """The metric's name, which says what it is when it is hovered."""
    return Markup('<span data-tip="{}">{}</span>').format(measure.meaning, measure.title(unit))


def glances(evaluation: EvaluationView) -> list[ScoreTable]:
    """All classes side by side: mean over subjects with its interval.

    A page of paper has room for a few columns, so that many classes take several tables, the mean of them first.
    """
    if len(evaluation.classes) < ABREAST:
        mean = [MEAN_OF_CLASSES] if len(evaluation.classes) > 1 else []
        return [_glance(evaluation, [*evaluation.classes, *mean], "")]
    tables = [_glance(evaluation, [MEAN_OF_CLASSES], ": mean of the classes")]
    for start in range(0, len(evaluation.classes), ABREAST):
        names = evaluation.classes[start : start + ABREAST]
        first, last = start + 1, start + len(names)
        which = f"classes {first} to {last}" if last > first else f"class {first}"
        tables.append(_glance(evaluation, names, f": {which} of {len(evaluation.classes)}"))
    return tables


def _glance(evaluation: EvaluationView, names: Sequence[str], which: str) -> ScoreTable:
    rows: list[list[str]] = []
    for measure in evaluation.measures:
        figures = [evaluation.figures(name, measure) for name in names]
        rows.append([named(measure, evaluation.unit), *(with_interval(measure, found) for found in figures)])
    return ScoreTable(
        f"Mean over subjects (95 % interval){which}",
        ["Metric", *(called(name) for name in names)],
        rows,
    )


def score_tables(evaluation: EvaluationView, name: str) -> list[ScoreTable]:
    """The full tables of a class: over subjects, and over images where that is another thing."""
    levels = [("per_subject", "subjects")]
    if len(evaluation.images) != evaluation.n_subjects:
        levels.append(("per_image", "images"))
    tables = []
    for level, things in levels:
        rows: list[list[str]] = []
        for measure in evaluation.measures:
            figures = evaluation.figures(name, measure, level)
            rows.append(
                [
                    named(measure, evaluation.unit),
                    with_interval(measure, figures),
                    measure.text(figures.get("median")),
                    _tail(measure, figures),
                    _worst(measure, figures),
                    str(figures.get("n", "–")),
                ]
            )
        tables.append(ScoreTable(f"{name}: over {things}", COLUMNS, rows))
    return tables


def _tail(measure: Measure, figures: Mapping[str, Any]) -> str:
    """What one in twenty is worse than; for an error with a sign on which side it lies further."""
    low, high = figures.get("p5"), figures.get("p95")
    if measure.better == "higher":
        return measure.text(low)
    return measure.text(high) if measure.better == "lower" else _further(measure, low, high)


def _worst(measure: Measure, figures: Mapping[str, Any]) -> str:
    low, high = figures.get("min"), figures.get("max")
    if measure.better == "higher":
        return measure.text(low)
    return measure.text(high) if measure.better == "lower" else _further(measure, low, high)


def _further(measure: Measure, low: float | None, high: float | None) -> str:
    ends = [value for value in (low, high) if value is not None]
    return measure.text(max(ends, key=abs, default=None))
