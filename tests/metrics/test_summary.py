from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from pipeline.metrics import OVERLAP_METRICS, summarise


def table(*rows: tuple[str, str, str, float]) -> pd.DataFrame:
    """Rows of (image, subject, class, score), the score standing in all metrics."""
    return pd.DataFrame(
        [{"image": i, "subject": s, "class": c, **dict.fromkeys(OVERLAP_METRICS, v)} for i, s, c, v in rows]
    )


def figures(summary: dict[str, Any], label: str, unit: str, metric: str = "dice") -> dict[str, Any]:
    found: dict[str, Any] = summary[label][unit][metric]
    return found


def test_each_subject_counts_once_however_many_images_it_has() -> None:
    cases = table(*[(f"a{n}", "A", "lung", 0.2) for n in range(4)], ("b", "B", "lung", 1.0))
    summary = summarise(cases)
    assert figures(summary, "lung", "per_image")["mean"] == pytest.approx((4 * 0.2 + 1.0) / 5)
    assert figures(summary, "lung", "per_subject")["mean"] == pytest.approx((0.2 + 1.0) / 2)
    assert figures(summary, "lung", "per_image")["n"] == 5
    assert figures(summary, "lung", "per_subject")["n"] == 2


def test_the_figures_of_a_case_counted_by_hand() -> None:
    cases = table(*[(f"i{n}", f"s{n}", "lung", n / 10) for n in range(11)])
    assert figures(summarise(cases), "lung", "per_image") == pytest.approx(
        {"mean": 0.5, "median": 0.5, "p5": 0.05, "min": 0.0, "n": 11}
    )


def test_the_worst_subject_is_the_worst_mean_and_not_the_worst_image() -> None:
    cases = table(("a1", "A", "lung", 0.0), ("a2", "A", "lung", 1.0), ("b", "B", "lung", 0.7))
    summary = summarise(cases)
    assert figures(summary, "lung", "per_image")["min"] == 0.0
    assert figures(summary, "lung", "per_subject")["min"] == 0.5


def test_undefined_scores_are_left_out_and_not_taken_for_zero_or_one() -> None:
    cases = table(("a1", "A", "cup", 0.8), ("a2", "A", "cup", math.nan), ("b", "B", "cup", math.nan))
    summary = summarise(cases)
    expected = {"mean": 0.8, "median": 0.8, "p5": 0.8, "min": 0.8, "n": 1}
    assert figures(summary, "cup", "per_image") == pytest.approx(expected)
    assert figures(summary, "cup", "per_subject")["n"] == 1


def test_a_class_that_is_nowhere_has_no_figures() -> None:
    summary = summarise(table(("a", "A", "cup", math.nan)))
    assert figures(summary, "cup", "per_image") == {"mean": None, "median": None, "p5": None, "min": None, "n": 0}


def test_the_mean_of_classes_is_taken_in_each_image_first() -> None:
    cases = table(
        ("a", "A", "disc", 0.9),
        ("a", "A", "cup", 0.5),
        ("b", "B", "disc", 0.6),
        ("b", "B", "cup", math.nan),
        ("c", "B", "disc", 0.2),
        ("c", "B", "cup", 0.4),
    )
    summary = summarise(cases)
    assert list(summary) == ["disc", "cup", "mean_of_classes"]
    images = [0.7, 0.6, 0.3]
    assert figures(summary, "mean_of_classes", "per_image")["mean"] == pytest.approx(sum(images) / 3)
    assert figures(summary, "mean_of_classes", "per_subject")["mean"] == pytest.approx((0.7 + (0.6 + 0.3) / 2) / 2)


def test_every_metric_has_its_own_figures() -> None:
    cases = table(("a", "A", "lung", 0.5))
    cases["recall"] = 0.25
    summary = summarise(cases)
    assert figures(summary, "lung", "per_image", "recall")["mean"] == 0.25
    assert figures(summary, "lung", "per_image", "iou")["mean"] == 0.5
    assert set(summary["lung"]["per_subject"]) == set(OVERLAP_METRICS)
