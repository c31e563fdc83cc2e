"""Whether the tables of a record, their summary and the run's metrics say the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from pipeline.errors import InvalidBundle
from pipeline.history import read_history
from pipeline.metrics import METRICS, summarise
from pipeline.tasks.audit.calibration_tables import CALIBRATION, calibration_differs
from pipeline.tasks.audit.case_tables import (
    CASES,
    CONFUSION,
    SUMMARY,
    areas_differ,
    confusion_differs,
    expected_metrics,
    read_cases,
    read_summary,
)
from pipeline.tasks.audit.check import Check, failed, passed, skipped
from pipeline.tasks.audit.material import AuditMaterial
from pipeline.tasks.audit.of_inference import KIND
from pipeline.tasks.audit.of_kind import HISTORY
from pipeline.tasks.audit.scored_facts import compare_facts, compare_subjects
from pipeline.tracking import RunFacts
from pipeline.tracking.words import allowed

__all__ = ["HISTORY", "check_tables"]

# Cells and means are written with six decimals.
ROUNDING = 2e-6
# The intervals are computed again with the scores: subjects are drawn in the order of their names, which the record may
# have replaced.
FIGURES = ("mean", "std", "median", "p5", "p95", "min", "max", "n")
# Of the history, what MLflow knows under another name or not at all.
NOT_LOGGED = ("epoch", "seconds")


def check_tables(material: AuditMaterial) -> Iterator[Check]:
    """The table of cases with its summary, the metrics and the datalist; the history of a training with the metrics."""
    run = material.run
    if run.kind == KIND:  # its table is another one
        return
    if CASES in run.files:
        yield _cases(run, run if run.kind == "training" else material.training)
    elif run.kind == "evaluation":
        yield skipped("tables", f"the run has recorded no {CASES}")
    if HISTORY in run.files:
        yield _history(run)


def _cases(run: RunFacts, training: RunFacts | None) -> Check:
    try:
        table = read_cases(run.fetch(CASES))
        summary = summarise(table, resamples=1)
        expected = expected_metrics(table)
    except (ValueError, KeyError, TypeError) as error:
        return failed("tables", f"{CASES} cannot be read: {str(error).splitlines()[0]}", [CASES])
    wrong = [
        f"metric {name}: {found}, the table gives {value:.6f}"
        for name, value in expected.items()
        if name in run.metrics and not _same(value, found := run.latest(name))
    ]
    wrong += _out_of_fold(run, summary)
    subjects = compare_subjects(table, run)
    wrong += [f"{CASES}: {line}" for line in subjects.wrong]
    wrong += [f"{CASES}: {line}" for line in areas_differ(table)]
    wrong += confusion_differs(run.fetch(CONFUSION), table) if CONFUSION in run.files else []
    untold = [*subjects.untold]
    record = read_summary(run)
    if record is None:
        wrong.append(f"{SUMMARY} is not there or cannot be read")
    else:
        wrong += [f"{SUMMARY}: {line}" for line in _of_summary(record["summary"], summary)]
        wrong += [f"{SUMMARY}: {line}" for line in _of_rows(record.get("cases"), table)]
        calibration = run.fetch(CALIBRATION) if CALIBRATION in run.files else None
        wrong += calibration_differs(record.get("calibration"), calibration)
        facts = compare_facts(record, table, run, training)
        wrong += [f"{SUMMARY}: {line}" for line in facts.wrong]
        untold += facts.untold
    if wrong:
        return failed("tables", f"{CASES}, its summary, the datalist and the metrics do not agree", wrong)
    words = f"{len(table)} rows of {CASES} give the recorded summary and metrics, and are of the recorded cases"
    return passed("tables", words + (f"; with nothing to compare with: {', '.join(untold)}" if untold else ""))


def _out_of_fold(run: RunFacts, summary: Mapping[str, Any]) -> Iterator[str]:
    """Of a cross-validation and its folds, the Dice of each class."""
    for label, units in summary.items():
        name, value = allowed(f"out_of_fold_dice_{label}"), _number(units["per_image"]["dice"]["mean"])
        if name in run.metrics and not _same(value, found := run.latest(name)):
            yield f"metric {name}: {found}, the table gives {value:.6f}"


def _of_summary(recorded: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    for name, units in expected.items():
        for unit, metrics in units.items():
            for metric, figures in metrics.items():
                found = recorded.get(name, {}).get(unit, {}).get(metric, {})
                for figure in FIGURES:
                    if not _same(_number(figures[figure]), _number(found.get(figure))):
                        where = f"{figure} of {metric}, {name}, {unit}"
                        yield f"{where} is {found.get(figure)}, the table gives {figures[figure]}"


def _of_rows(rows: Any, table: pd.DataFrame) -> Iterator[str]:
    """The cases, which stand in the summary's file once more."""
    if not isinstance(rows, list):
        return
    if len(rows) != len(table):
        yield f"has {len(rows)} rows of cases, the table {len(table)}"
        return
    for row, cells in zip(rows, table.to_dict("records"), strict=True):
        for metric in METRICS:
            if metric in cells and metric in row and not _same(_number(row[metric]), float(cells[metric])):
                yield f"{metric} of {cells['image']} is {row[metric]}, in the table {cells[metric]:.6f}"


def _history(run: RunFacts) -> Check:
    try:
        rows = read_history(run.fetch(HISTORY))
    except (InvalidBundle, OSError) as error:
        return failed("history", " ".join(str(error).split()), [HISTORY])
    wrong, compared = [], 0
    for row in rows:
        for name, value in row.items():
            if name in NOT_LOGGED or math.isnan(value):
                continue
            at = [point.value for point in run.metrics.get(allowed(name), ()) if point.step == int(row["epoch"])]
            # The epochs before those of this run, of a training that was resumed, are another run's.
            compared += bool(at)
            if at and not any(math.isclose(value, found, rel_tol=2e-5, abs_tol=1e-9) for found in at):
                wrong.append(f"{name} at {row['epoch']:.0f}: {at[-1]:.6g}, in the table {value:.6g}")
    if wrong:
        return failed("history", f"{HISTORY} and the metrics do not agree", wrong)
    named = {allowed(name) for row in rows for name in row} | {"epoch_seconds"}
    others = [name for name in sorted(run.metrics) if name not in named and not name.startswith("out_of_fold_")]
    words = f"{compared} values of {HISTORY} are the recorded metrics"
    return passed("history", words + (f"; with nothing to compare with: {', '.join(others)}" if others else ""))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _same(before: float, after: float | None) -> bool:
    if after is None or math.isnan(before) or math.isnan(after):
        return math.isnan(before) and (after is None or math.isnan(after))
    return math.isclose(before, after, rel_tol=1e-6, abs_tol=ROUNDING)
