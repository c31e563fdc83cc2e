"""The table of cases of an evaluation, in the record and computed again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.metrics import METRICS, summarise
from pipeline.tasks.audit.tolerance import AuditTolerance
from pipeline.tracking import RunFacts
from pipeline.tracking.words import allowed

__all__ = [
    "CASES",
    "CONFUSION",
    "SUMMARY",
    "TableDifference",
    "compare_confusion",
    "compare_intervals",
    "compare_tables",
    "expected_metrics",
    "read_cases",
    "read_summary",
]

CASES, SUMMARY, CONFUSION = "tables/cases.csv", "tables/metrics.json", "tables/confusion.csv"
WORDS = ("case", "image", "image_sha256", "subject", "class", "distance_unit", "mask", "mask_sha256")
# In mm or pixels; the surface Dice is a share.
DISTANCES = {name for name, metric in METRICS.items() if metric.kind == "distance" and metric.better == "lower"}


@dataclass(frozen=True)
class TableDifference:
    """What differs between two tables of cases.

    Attributes:
        cases: Cases and classes that both have.
        compared: Numbers that were compared.
        greatest: The greatest difference of a share, with where it is; 0 if all are the same.
        where: "dice of case-1ab5 (lung)".
        wrong: Each number that differs by more than is tolerated, and each case that one of them lacks.
    """

    cases: int
    compared: int
    greatest: float
    where: str
    wrong: tuple[str, ...]


def read_cases(path: Path) -> pd.DataFrame:
    """A `cases.csv` with "image" as the name of a case, be it a file's or what stands for it.

    Raises: ValueError, KeyError, OSError: if it is none.
    """
    table = pd.read_csv(
        path,
        dtype=dict.fromkeys(WORDS, str),
        keep_default_na=False,
        na_values={name: [""] for name in METRICS},
    )
    if "image" not in table:
        table = table.rename(columns={"case": "image"})
    return table.astype({"image": str, "class": str})


def compare_tables(before: pd.DataFrame, after: pd.DataFrame, tolerance: AuditTolerance) -> TableDifference:
    """Compare two tables of cases, which are matched by the digests of the images and the classes."""
    old, new = _by_case(before), _by_case(after)
    # What a case is called in the record; the other table is of this machine, with names of files.
    wrong = [f"{row['image']} ({key[2]}): not scored any more" for key, row in old.items() if key not in new]
    wrong += [f"{row['image']} ({key[2]}): was not scored then" for key, row in new.items() if key not in old]
    metrics = [name for name in METRICS if name in before and name in after]
    compared, greatest, where = 0, 0.0, ""
    for key, row in old.items():
        if key not in new:
            continue
        for name in metrics:
            was, now = float(row[name]), float(new[key][name])
            compared += 1
            place = f"{name} of {row['image']} ({key[2]})"
            if not tolerance.allows(was, now, distance=name in DISTANCES):
                wrong.append(f"{place}: {was:.6f} → {now:.6f}")
            if name not in DISTANCES and abs(now - was) > greatest:
                greatest, where = abs(now - was), place
    return TableDifference(sum(key in new for key in old), compared, greatest, where, tuple(wrong))


def _by_case(table: pd.DataFrame) -> dict[tuple[str, int, str], Mapping[str, Any]]:
    found: dict[tuple[str, int, str], Mapping[str, Any]] = {}
    for row in table.to_dict("records"):
        name = str(row.get("image_sha256") or row["image"])
        number = 0  # slices may have equal pixels
        while (name, number, row["class"]) in found:
            number += 1
        found[name, number, row["class"]] = row
    return found


def expected_metrics(cases: pd.DataFrame) -> dict[str, float]:
    """The metrics of a run that a table of cases gives: means over images, by class."""
    summary = summarise(cases, resamples=1)
    found = {}
    for label in dict.fromkeys(cases["class"]):
        for metric, figures in summary[label]["per_image"].items():
            mean = figures["mean"]
            found[allowed(f"{metric}_{label}")] = math.nan if mean is None else float(mean)
    return found


def compare_intervals(before: Mapping[str, Any], after: Mapping[str, Any], tolerance: AuditTolerance) -> list[str]:
    """The intervals that differ between two summaries of an evaluation.

    Subjects may have other names in the record, and are then drawn in another order: a tenth of an interval's width is
    within what another draw gives.
    """
    wrong = []
    for label, units in after.items():
        for unit, metrics in units.items():
            for metric, figures in metrics.items():
                was = before.get(label, {}).get(unit, {}).get(metric, {})
                low, high = figures.get("ci_low"), figures.get("ci_high")
                slack = 0.1 * (high - low) if low is not None and high is not None else 0.0
                for name, now in (("ci_low", low), ("ci_high", high)):
                    then = was.get(name)
                    if then is None or now is None:
                        same = then is None and now is None
                    else:
                        same = abs(now - then) <= slack or tolerance.allows(then, now, distance=metric in DISTANCES)
                    if not same:
                        wrong.append(f"{name} of {metric}, {label}, {unit}: {then} → {now}")
    return wrong


def compare_confusion(before: Path, after: Path, tolerance: AuditTolerance) -> list[str]:
    """The cells that differ between two tables of confusion, as shares of all pixels."""
    old, new = (pd.read_csv(path, index_col=0) for path in (before, after))
    if list(old.index) != list(new.index) or list(old.columns) != list(new.columns):
        return ["the confusion matrix has other classes"]
    total = max(float(old.to_numpy().sum()), float(new.to_numpy().sum()), 1.0)
    return [
        f"confusion of {row} with {column}: {old.loc[row, column]} → {new.loc[row, column]}"
        for row in old.index
        for column in old.columns
        if not tolerance.allows(old.loc[row, column] / total, new.loc[row, column] / total, distance=False)
    ]


def read_summary(run: RunFacts) -> dict[str, Any] | None:
    """The content of the recorded `metrics.json`."""
    if SUMMARY not in run.files:
        return None
    try:
        content = json.loads(run.fetch(SUMMARY).read_text(encoding="utf-8"))
        return content if isinstance(content, dict) and isinstance(content["summary"], dict) else None
    except (OSError, ValueError, KeyError):
        return None
