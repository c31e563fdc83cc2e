"""Two models on the same cases: the difference, subject by subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.errors import InvalidOption
from pipeline.metrics.bootstrap import LEVEL, RESAMPLES, SEED, bootstrap_interval
from pipeline.metrics.definitions import METRICS
from pipeline.metrics.summary import MEAN_OF_CLASSES, in_one_unit

__all__ = ["PAIRED_RULE", "PairedDifference", "paired_differences"]

PAIRED_RULE = (
    "B − A for each image and class that both have scored, then the mean over a subject's images and classes, then "
    "over subjects; the interval is a percentile bootstrap over these subjects. Of the area error the absolute values "
    "are compared. Where both masks of one model are rightly empty and the other model finds something, the first has "
    "the best value there is: 1 in overlaps and normalised surface Dice, 0 in distances. Any other pair of which one "
    "has no value is left out and counted; so are distances in the unit that fewer images have."
)


@dataclass(frozen=True)
class PairedDifference:
    """How much B differs from A in one metric.

    Attributes:
        metric: A name in `METRICS`.
        label: The class, or "mean_of_classes".
        mean: Mean over subjects of B − A, in the metric's unit; None where nothing could be paired.
        ci_low: Lower end of its bootstrap interval; None for fewer than two subjects.
        ci_high: Upper end.
        n: Subjects.
        images: Images.
        wins: Subjects in which B is better.
        losses: Subjects in which A is better.
        ties: Subjects in which they are equal.
        left_out: Pairs of an image and a class that only one of the two has, or in which a value is undefined.
        by_subject: B − A by subject.
    """

    metric: str
    label: str
    mean: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    images: int
    wins: int
    losses: int
    ties: int
    left_out: int
    by_subject: dict[str, float]


def paired_differences(
    cases_a: pd.DataFrame,
    cases_b: pd.DataFrame,
    metric: str = "dice",
    label: str = MEAN_OF_CLASSES,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = LEVEL,
) -> PairedDifference:
    """The paired difference of two evaluations of the same cases.

    Images are paired by the digest of their pixels where both tables have it, so that two datalists of one set agree,
    else by their name. Subjects are those of A.

    Args:
        cases_a: `cases.csv` of the first, as `read_evaluation` gives it.
        cases_b: Of the second: the difference is B − A.
        metric: A name in `METRICS`.
        label: A class, or "mean_of_classes": all of them.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
        level: Of the interval.

    Raises: InvalidOption: for a metric or class that the tables do not have, a case that stands twice in one of them,
        or distances in different units.
    """
    for cases in (cases_a, cases_b):
        if metric not in METRICS or metric not in cases.columns:
            raise InvalidOption(f"'{metric}' was not measured; choose one of {', '.join(_measured(cases_a, cases_b))}.")
    classes = [name for name in dict.fromkeys(cases_a["class"]) if label in (MEAN_OF_CLASSES, name)]
    if not classes:
        raise InvalidOption(f"There is no class '{label}'; choose {', '.join(dict.fromkeys(cases_a['class']))}.")
    key = _key(cases_a, cases_b)
    first, second = (_by_case(cases[cases["class"].isin(classes)], key) for cases in (cases_a, cases_b))
    both = first.index[first.index.isin(second.index)]
    pairs = len(first.index.union(second.index))
    _same_unit(first.loc[both], second.loc[both], metric)
    if METRICS[metric].kind == "distance":
        first, second = (in_one_unit(cases) for cases in (first.loc[both], second.loc[both]))
    before, after = _rightly_empty(first.loc[both], second.loc[both], metric)
    better = METRICS[metric].better
    difference = (after.abs() - before.abs() if better == "zero" else after - before).dropna()
    subjects = first.loc[difference.index, "subject"]
    by_subject = difference.groupby(subjects.to_numpy()).mean().sort_index()
    low, high = bootstrap_interval(
        by_subject.to_numpy(), list(by_subject.index), resamples=resamples, seed=seed, level=level
    )
    sign = np.sign(by_subject.to_numpy()) * (1 if better == "higher" else -1)
    return PairedDifference(
        metric=metric,
        label=label,
        mean=float(by_subject.mean()) if len(by_subject) else None,
        ci_low=low,
        ci_high=high,
        n=len(by_subject),
        images=difference.index.get_level_values(0).nunique(),
        wins=int((sign > 0).sum()),
        losses=int((sign < 0).sum()),
        ties=int((sign == 0).sum()),
        left_out=pairs - len(difference),
        by_subject={str(name): float(value) for name, value in by_subject.items()},
    )


def _key(cases_a: pd.DataFrame, cases_b: pd.DataFrame) -> str:
    """The column that tells images: "image_sha256" if it does so in both tables, else "image"."""
    for cases in (cases_a, cases_b):
        if "image_sha256" not in cases.columns:
            return "image"
        digests = cases["image_sha256"]
        known = digests.notna() & (digests != "")
        if not known.all() or digests.nunique() != cases["image"].nunique():
            return "image"
    return "image_sha256"


def _by_case(cases: pd.DataFrame, key: str) -> pd.DataFrame:
    indexed = cases.set_index([key, "class"], drop=False)
    if not indexed.index.is_unique:
        image, label = indexed.index[indexed.index.duplicated()][0]
        raise InvalidOption(f"{image}, {label}: stands twice in one table; expected one row a case and class.")
    return indexed


def _rightly_empty(first: pd.DataFrame, second: pd.DataFrame, metric: str) -> tuple[pd.Series, pd.Series]:
    """The values of both, with the best one where only one of them has rightly found nothing.

    The summary of one model leaves such images out; in a comparison that would forgive the other its invention.
    """
    values = [cases[metric].astype(float) for cases in (first, second)]
    counted = {"reference_pixels", "predicted_pixels"}
    if METRICS[metric].kind not in ("overlap", "distance") or not counted <= set(first) & set(second):
        return values[0], values[1]
    best = 1.0 if METRICS[metric].better == "higher" else 0.0
    empty = [(cases["reference_pixels"] == 0) & (cases["predicted_pixels"] == 0) for cases in (first, second)]
    return (
        values[0].mask(empty[0] & ~empty[1] & values[0].isna(), best),
        values[1].mask(empty[1] & ~empty[0] & values[1].isna(), best),
    )


def _same_unit(first: pd.DataFrame, second: pd.DataFrame, metric: str) -> None:
    if METRICS[metric].kind != "distance" or not {"distance_unit"} <= set(first) & set(second):
        return
    differ = first["distance_unit"] != second["distance_unit"]
    if differ.any():
        image = first.loc[differ, "image"].iloc[0] if "image" in first else differ[differ].index[0][0]
        raise InvalidOption(
            f"{METRICS[metric].title}: {image} is in {first['distance_unit'][differ].iloc[0]} in A and in "
            f"{second['distance_unit'][differ].iloc[0]} in B; expected one unit. Evaluate both on the same datalist."
        )


def _measured(cases_a: pd.DataFrame, cases_b: pd.DataFrame) -> list[str]:
    return [name for name in METRICS if name in cases_a.columns and name in cases_b.columns]
