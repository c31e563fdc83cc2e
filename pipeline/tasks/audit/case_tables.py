"""The table of cases of an evaluation, in the record and computed again."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.metrics import METRICS, summarise
from pipeline.tasks.audit.differences import Differences
from pipeline.tasks.audit.tolerance import AuditTolerance
from pipeline.tracking import RunFacts
from pipeline.tracking.words import allowed

__all__ = [
    "CASES",
    "CONFUSION",
    "SUMMARY",
    "TableDifference",
    "areas_differ",
    "compare_confusion",
    "compare_summaries",
    "compare_tables",
    "confusion_differs",
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
        greatest: The greatest difference of a share, with where it is; 0 if all are the same.
        where: "dice of case-1ab5 (lung)".
    """

    cases: int
    greatest: float
    where: str


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


def compare_tables(
    before: pd.DataFrame, after: pd.DataFrame, tolerance: AuditTolerance, found: Differences
) -> TableDifference:
    """Compare two tables of cases, which are matched by the digests of the images and the classes."""
    old, new = _by_case(before), _by_case(after)
    # What a case is called in the record; the other table is of this machine, with names of files.
    for key, row in new.items():
        if key not in old:
            found.note(False, f"{row['image']} ({key[2]}): was not scored then")
    metrics = [name for name in METRICS if name in before and name in after]
    greatest, where = 0.0, ""
    for key, row in old.items():
        found.note(key in new, f"{row['image']} ({key[2]}): not scored any more")
        if key not in new:
            continue
        for name in metrics:
            was, now = float(row[name]), float(new[key][name])
            place = f"{name} of {row['image']} ({key[2]})"
            same = tolerance.allows(was, now, distance=name in DISTANCES)
            found.note(same, f"{place}: {was:.6f} → {now:.6f}")
            if name not in DISTANCES and abs(now - was) > greatest:
                greatest, where = abs(now - was), place
        _compare_areas(row, new[key], tolerance, found)
    _compare_subjects([(row, new[key]) for key, row in old.items() if key in new], found)
    return TableDifference(sum(key in new for key in old), greatest, where)


def _compare_areas(
    was: Mapping[str, Any], now: Mapping[str, Any], tolerance: AuditTolerance, found: Differences
) -> None:
    """Pixels, areas and their unit of one row.

    The reference is the same to the pixel; the prediction as far as its share of the reference is.
    """
    place = f"{was['image']} ({was['class']})"
    if "distance_unit" in was and "distance_unit" in now:
        same = was["distance_unit"] == now["distance_unit"]
        found.note(same, f"distance_unit of {place}: {was['distance_unit']} → {now['distance_unit']}")
    for unit in ("pixels", "area"):
        names = f"reference_{unit}", f"predicted_{unit}"
        if not all(name in row for name in names for row in (was, now)):
            continue
        (old_reference, old), (reference, new) = ([float(row[name]) for name in names] for row in (was, now))
        same = math.isclose(old_reference, reference, rel_tol=1e-6, abs_tol=2e-6)
        found.note(same, f"{names[0]} of {place}: {old_reference:g} → {reference:g}")
        # Where nothing was to be found, the few pixels that were are no measure of how many may turn.
        least = (64 * 64) * (new / float(now["predicted_pixels"]) if now.get("predicted_pixels") else 1.0)
        limit = tolerance.share * max(reference, abs(old - reference), 0.0 if reference else max(old, least))
        found.note(abs(new - old) <= limit + 2e-6, f"{names[1]} of {place}: {old:g} → {new:g}")


def _compare_subjects(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], found: Differences) -> None:
    """Whether the same cases belong together: subjects have other names in the record than on this machine."""
    names: dict[str, set[str]] = {}
    for was, now in pairs:
        names.setdefault(str(now["subject"]), set()).add(str(was["subject"]))
    given = Counter(one for whose in names.values() for one in whose)
    for whose in names.values():
        joined = sorted(one for one in whose if given[one] > 1)
        apart = f"one subject is now what the table calls {', '.join(sorted(whose))}"
        found.note(
            len(whose) == 1 and not joined, apart if len(whose) > 1 else f"subject {', '.join(joined)} is several"
        )


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


def compare_summaries(
    before: Mapping[str, Any], after: Mapping[str, Any], tolerance: AuditTolerance, found: Differences
) -> None:
    """All figures of two summaries of an evaluation.

    Subjects may have other names in the record, and are then drawn in another order: a tenth of an interval's width is
    within what another draw gives.
    """
    for label, units in after.items():
        for unit, metrics in units.items():
            for metric, figures in metrics.items():
                was = before.get(label, {}).get(unit, {}).get(metric, {})
                low, high = figures.get("ci_low"), figures.get("ci_high")
                slack = 0.1 * (high - low) if low is not None and high is not None else 0.0
                for name, now in figures.items():
                    then = was.get(name)
                    if then is None or now is None or name == "n":
                        same = then == now
                    else:
                        same = tolerance.allows(then, now, distance=metric in DISTANCES)
                        same = same or (name in ("ci_low", "ci_high") and abs(now - then) <= slack)
                    found.note(same, f"{name} of {metric}, {label}, {unit}: {then} → {now}")
    for label in before.keys() - after.keys():
        found.note(False, f"the summary has figures of {label}, which nothing was scored of")


def compare_confusion(before: Path, after: Path, tolerance: AuditTolerance, found: Differences) -> None:
    """The cells of two tables of confusion, as shares of all pixels."""
    old, new = (pd.read_csv(path, index_col=0, keep_default_na=False) for path in (before, after))
    same = list(old.index) == list(new.index) and list(old.columns) == list(new.columns)
    found.note(same, "the confusion matrix has other classes")
    if not same:
        return
    total = max(float(old.to_numpy().sum()), float(new.to_numpy().sum()), 1.0)
    for row in old.index:
        for column in old.columns:
            then, now = old.loc[row, column], new.loc[row, column]
            allowed_ = tolerance.allows(then / total, now / total, distance=False)
            found.note(allowed_, f"confusion of {row} with {column}: {then} → {now}")


def confusion_differs(path: Path, cases: pd.DataFrame) -> Iterator[str]:
    """Whether a table of confusion has as many pixels of each class as the table of cases."""
    table = pd.read_csv(path, index_col=0, keep_default_na=False)
    if not {"reference_pixels", "predicted_pixels"} <= {*cases.columns}:
        return
    for label, rows in cases.groupby("class", sort=False):
        if label not in table.index or label not in table.columns:
            yield f"{CONFUSION} has no class {label}"
            continue
        for what, pixels in (("reference", table.loc[label].sum()), ("predicted", table[label].sum())):
            expected = int(rows[f"{what}_pixels"].sum())
            if int(pixels) != expected:
                yield f"{CONFUSION} has {pixels} {what} pixels of {label}, the table of cases {expected}"


def areas_differ(cases: pd.DataFrame) -> Iterator[str]:
    """Whether the error of the area is that of the pixels of its row, and the areas are of one size of pixel."""
    if not {"reference_pixels", "predicted_pixels", "reference_area", "predicted_area"} <= {*cases.columns}:
        return
    for row in cases.to_dict("records"):
        wanted, got = float(row["reference_pixels"]), float(row["predicted_pixels"])
        place = f"{row['image']} ({row['class']})"
        error = float(row.get("area_error", math.nan))
        if wanted and not math.isnan(error) and abs((got - wanted) / wanted - error) > 2e-6 * max(1.0, abs(error)):
            yield f"area_error of {place} is {error:.6f}, its pixels give {(got - wanted) / wanted:.6f}"
        crossed = float(row["reference_area"]) * got, float(row["predicted_area"]) * wanted
        # The areas are written with six decimals.
        if abs(crossed[0] - crossed[1]) > 1e-6 * max(*crossed, wanted + got):
            yield f"the areas of {place} are of pixels of two sizes"


def read_summary(run: RunFacts) -> dict[str, Any] | None:
    """The content of the recorded `metrics.json`."""
    if SUMMARY not in run.files:
        return None
    try:
        content = json.loads(run.fetch(SUMMARY).read_text(encoding="utf-8"))
        return content if isinstance(content, dict) and isinstance(content["summary"], dict) else None
    except (OSError, ValueError, KeyError):
        return None
