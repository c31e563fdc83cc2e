"""From the table of cases to the figures that are quoted: per image and per subject, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pipeline.metrics.bootstrap import LEVEL, RESAMPLES, SEED, bootstrap_intervals
from pipeline.metrics.definitions import DISTANCE_METRICS, METRICS

__all__ = ["AGGREGATION", "MEAN_OF_CLASSES", "distance_unit", "in_one_unit", "summarise", "volume_error"]

MEAN_OF_CLASSES = "mean_of_classes"

AGGREGATION = (
    "per_image: over the images of the split, each image counting once. per_subject: the mean of a subject's images "
    "first, then over the subjects, each subject counting once; its area error is that of its images' areas together, "
    "which for slices of one thickness is the error of the volume. mean_of_classes: the mean over the classes of each "
    "image first. n: the images or subjects that have the metric; std: the standard deviation over these (n - 1), from "
    "two on. p5 and p95: percentiles, linear between ranks; min and max: the least and the greatest, of which one is "
    "the worst, by the metric. Distances in pixels are never mixed with distances in mm: where a set has both, 95 % "
    "Hausdorff, surface distance and surface Dice are over the images of the unit that most of them have, which "
    "`distance_unit` says."
)

# Enough for any reader, and few enough that the last bits of a sum, which differ between machines, do not show.
DIGITS = 6


def summarise(
    cases: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = SEED, level: float = LEVEL
) -> dict[str, Any]:
    """Mean with its interval, median, percentiles and extremes of each metric of each class.

    Args:
        cases: One row a case and class, with the columns "image", "subject", "class", those of `METRICS` that were
            measured, and "distance_unit" if distances were.
        resamples: Of the bootstrap; see `interval_rule`.
        seed: Of the bootstrap.
        level: Of the intervals.
    Returns: ``{class: {"per_image" | "per_subject": {metric: {"mean", "std", "ci_low", "ci_high", "median", "p5",
        "p95", "min", "max", "n"}}}}`` and under "mean_of_classes" the same for the mean over the classes of each
        image. None where no case has the metric.
    """
    metrics = [name for name in METRICS if name in cases.columns]
    cases = in_one_unit(cases)
    over_classes = cases.groupby(["image", "subject"], as_index=False, sort=False)[metrics].mean()
    parts = {str(name): rows for name, rows in cases.groupby("class", sort=False)} | {MEAN_OF_CLASSES: over_classes}
    # Every subject of the set takes part in every draw, so that all figures are of the same resamples.
    subjects = pd.Index(sorted(set(cases["subject"])))
    # For each table its values, and the sums and counts by subject that the bootstrap draws from.
    tables: dict[tuple[str, str], tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]] = {}
    volumes = {str(name): volume_error(rows) for name, rows in cases.groupby("class", sort=False)}
    volumes[MEAN_OF_CLASSES] = pd.concat(volumes, axis=1).mean(axis=1)
    for name, rows in parts.items():
        by_subject = rows.groupby("subject")[metrics]
        means = by_subject.mean().reindex(subjects)
        if "area_error" in metrics:
            means["area_error"] = volumes[name].reindex(subjects).fillna(means["area_error"])
        tables[name, "per_image"] = (
            rows[metrics],
            by_subject.sum().reindex(subjects),
            by_subject.count().reindex(subjects),
        )
        tables[name, "per_subject"] = means, means, means.notna()
    sums, counts = (
        np.concatenate([table[part].fillna(0.0).to_numpy(dtype=float) for table in tables.values()], axis=1)
        for part in (1, 2)
    )
    intervals = iter(bootstrap_intervals(sums, counts, resamples=resamples, seed=seed, level=level))
    summary: dict[str, Any] = {}
    for (name, unit), (values, _, _) in tables.items():
        summary.setdefault(name, {})[unit] = {metric: _figures(values[metric], *next(intervals)) for metric in metrics}
    return summary


def distance_unit(cases: pd.DataFrame) -> tuple[str, int]:
    """The unit in which the summary's distances are, and how many images it leaves out for having the other.

    Returns: "mm" or "px", whichever more images have (mm, if as many); ("", 0) where no distance was measured.
    """
    if "distance_unit" not in cases.columns or len(cases) == 0:
        return "", 0
    images = cases.drop_duplicates("image")["distance_unit"]
    millimetres, pixels = int((images == "mm").sum()), int((images == "px").sum())
    return ("mm", pixels) if millimetres >= pixels else ("px", millimetres)


def in_one_unit(cases: pd.DataFrame) -> pd.DataFrame:
    """The table without distances in the unit that fewer images have: millimetres and pixels have no mean."""
    unit, others = distance_unit(cases)
    if not others:
        return cases
    present = [name for name in DISTANCE_METRICS if name in cases.columns]
    cases = cases.copy()
    cases.loc[cases["distance_unit"] != unit, present] = np.nan
    return cases


def volume_error(rows: pd.DataFrame) -> pd.Series:
    """(predicted − reference) / reference of the areas of each subject's images together, by subject.

    NaN where the areas were not recorded, where some are in mm² and some in pixels, or where the reference is empty.
    """
    areas = ["predicted_area", "reference_area"]
    if not {*areas, "distance_unit"} <= {*rows.columns}:
        return pd.Series(np.nan, index=pd.Index(rows["subject"].unique()))
    by_subject = rows.groupby("subject")
    predicted, reference = (by_subject[name].sum() for name in areas)
    known = (reference > 0) & (by_subject["distance_unit"].nunique() == 1)
    return ((predicted - reference) / reference.where(known)).astype(float)


def _figures(values: pd.Series, ci_low: float | None, ci_high: float | None) -> dict[str, float | int | None]:
    """The figures of one column; None where no case has the metric."""
    column = values.dropna()
    figures: dict[str, float | None] = {
        "mean": column.mean(),
        "std": column.std() if len(column) > 1 else None,
        "ci_low": ci_low,
        "ci_high": ci_high,
        "median": column.median(),
        "p5": column.quantile(0.05),
        "p95": column.quantile(0.95),
        "min": column.min(),
        "max": column.max(),
    }
    rounded = {
        key: round(float(value), DIGITS) if len(column) and value is not None else None
        for key, value in figures.items()
    }
    return {**rounded, "n": len(column)}
