"""From the table of cases to the figures that are quoted: per image and per subject."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.metrics.overlap import OVERLAP_METRICS

__all__ = ["AGGREGATION", "summarise"]

AGGREGATION = (
    "per_image: over the images of the split, each image counting once. per_subject: the mean of a subject's images "
    "first, then over the subjects, each subject counting once. p5: 5th percentile, linear between ranks."
)


def summarise(cases: pd.DataFrame) -> dict[str, Any]:
    """Mean, median, 5th percentile and worst of each metric of each class.

    Args:
        cases: One row a case and class, with the columns "image", "subject", "class" and those of `OVERLAP_METRICS`.
    Returns: ``{class: {"per_image" | "per_subject": {metric: {"mean", "median", "p5", "min", "n"}}}}`` and under
        "mean_of_classes" the same for the mean over the classes of each image.
    """
    metrics = list(OVERLAP_METRICS)
    over_classes = cases.groupby(["image", "subject"], as_index=False, sort=False)[metrics].mean()
    parts = {str(name): rows for name, rows in cases.groupby("class", sort=False)}
    return {
        name: {
            "per_image": _figures(rows[metrics]),
            "per_subject": _figures(rows.groupby("subject")[metrics].mean()),
        }
        for name, rows in {**parts, "mean_of_classes": over_classes}.items()
    }


def _figures(values: pd.DataFrame) -> dict[str, dict[str, float | int | None]]:
    """The five figures of each column; None where no case has the metric."""
    table = {}
    for name in values.columns:
        column = values[name].dropna()
        figures = {
            "mean": column.mean(),
            "median": column.median(),
            "p5": column.quantile(0.05),
            "min": column.min(),
        }
        table[str(name)] = {
            **{key: float(value) if len(column) else None for key, value in figures.items()},
            "n": len(column),
        }
    return table
