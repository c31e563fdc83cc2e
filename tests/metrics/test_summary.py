from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from pipeline.metrics import OVERLAP_METRICS, bootstrap_interval, distance_unit, summarise


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
    found = figures(summarise(cases), "lung", "per_image")
    low, high = found.pop("ci_low"), found.pop("ci_high")
    assert found == pytest.approx(
        {
            "mean": 0.5,
            "std": round(math.sqrt(0.11), 6),
            "median": 0.5,
            "p5": 0.05,
            "p95": 0.95,
            "min": 0.0,
            "max": 1.0,
            "n": 11,
        }
    )
    assert 0.25 < low < 0.4 < 0.6 < high < 0.75


def test_the_worst_subject_is_the_worst_mean_and_not_the_worst_image() -> None:
    cases = table(("a1", "A", "lung", 0.0), ("a2", "A", "lung", 1.0), ("b", "B", "lung", 0.7))
    summary = summarise(cases)
    assert figures(summary, "lung", "per_image")["min"] == 0.0
    assert figures(summary, "lung", "per_subject")["min"] == 0.5


def test_undefined_scores_are_left_out_and_not_taken_for_zero_or_one() -> None:
    cases = table(("a1", "A", "cup", 0.8), ("a2", "A", "cup", math.nan), ("b", "B", "cup", math.nan))
    summary = summarise(cases)
    expected = dict.fromkeys(("mean", "median", "p5", "p95", "min", "max"), 0.8) | {"n": 1}
    found = figures(summary, "cup", "per_image")
    assert (found.pop("ci_low"), found.pop("ci_high"), found.pop("std")) == (None, None, None)  # one is no sample
    assert found == pytest.approx(expected)
    assert figures(summary, "cup", "per_subject")["n"] == 1


def test_a_class_that_is_nowhere_has_no_figures() -> None:
    summary = summarise(table(("a", "A", "cup", math.nan)))
    none = dict.fromkeys(("mean", "std", "ci_low", "ci_high", "median", "p5", "p95", "min", "max"))
    assert figures(summary, "cup", "per_image") == {**none, "n": 0}


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


def test_intervals_are_over_subjects_in_both_units() -> None:
    scores = {"A": [0.2, 0.3, 0.4], "B": [0.9], "C": [0.7, 0.8], "D": [0.6]}
    rows = [(f"{s}{k}", s, "lung", v) for s, values in scores.items() for k, v in enumerate(values)]
    summary = summarise(table(*rows))
    images = bootstrap_interval([row[3] for row in rows], [row[1] for row in rows])
    subjects = bootstrap_interval([sum(values) / len(values) for values in scores.values()], list(scores))
    for unit, expected in (("per_image", images), ("per_subject", subjects)):
        found = figures(summary, "lung", unit)
        assert (found["ci_low"], found["ci_high"]) == pytest.approx(expected, abs=1e-6), unit
    assert images != subjects


def test_a_subject_without_the_class_is_drawn_too_and_adds_nothing() -> None:
    cases = table(("a", "A", "cup", 0.4), ("b", "B", "cup", 0.8), ("c", "C", "cup", math.nan), ("d", "C", "disc", 0.1))
    found = figures(summarise(cases), "cup", "per_subject")
    assert found["n"] == 2
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((0.4, 0.8))


def test_the_order_of_the_rows_does_not_matter() -> None:
    cases = table(*[(f"i{k}", f"s{k % 7}", "lung", (k * 37 % 23) / 23) for k in range(30)])
    first, second = summarise(cases), summarise(cases.sample(frac=1, random_state=0))
    assert first["lung"]["per_image"]["dice"] == pytest.approx(second["lung"]["per_image"]["dice"], abs=2e-6)


def distances(*rows: tuple[str, float, str]) -> pd.DataFrame:
    """Rows of (image, distance, unit)."""
    return pd.DataFrame(
        [
            {"image": i, "subject": i, "class": "lung", "dice": 0.5, "hd95": v, "asd": v, "nsd": v, "distance_unit": u}
            for i, v, u in rows
        ]
    )


def test_millimetres_and_pixels_are_never_mixed() -> None:
    cases = distances(("a", 3.0, "mm"), ("b", 100.0, "px"), ("c", 5.0, "mm"))
    summary = summarise(cases)
    assert distance_unit(cases) == ("mm", 1)
    for metric in ("hd95", "asd", "nsd"):
        found = figures(summary, "lung", "per_image", metric)
        assert (found["mean"], found["max"], found["n"]) == (4.0, 5.0, 2)
    assert figures(summary, "lung", "per_image", "dice")["n"] == 3
    assert distance_unit(cases.iloc[1:2]) == ("px", 0)
    assert distance_unit(cases.iloc[:2]) == ("mm", 1)
    assert distance_unit(table(("a", "A", "lung", 0.5))) == ("", 0)
    # The table that was given is not changed.
    assert cases["hd95"].tolist() == [3.0, 100.0, 5.0]


def of_areas(*rows: tuple[str, str, str, float, float]) -> pd.DataFrame:
    """Rows of (subject, class, unit, reference area, predicted area)."""
    return pd.DataFrame(
        [
            {
                "image": f"{subject}{n}",
                "subject": subject,
                "class": label,
                "distance_unit": unit,
                "area_error": (found - wanted) / wanted if wanted else math.nan,
                "reference_area": wanted,
                "predicted_area": found,
            }
            for n, (subject, label, unit, wanted, found) in enumerate(rows)
        ]
    )


def test_the_area_error_of_a_subject_is_that_of_its_slices_together() -> None:
    # The tip of a lung of 2 mm² that is found three times too large is nothing beside the slices of 1000.
    cases = of_areas(("A", "lung", "mm", 1000, 900), ("A", "lung", "mm", 2, 6), ("A", "lung", "mm", 0, 10))
    summary = summarise(cases)
    assert figures(summary, "lung", "per_image", "area_error")["mean"] == pytest.approx((-0.1 + 2.0) / 2)
    assert figures(summary, "lung", "per_subject", "area_error")["mean"] == pytest.approx((916 - 1002) / 1002, abs=1e-6)


def test_areas_in_two_units_are_not_added() -> None:
    cases = of_areas(("A", "lung", "mm", 1000, 900), ("A", "lung", "px", 10, 12), ("B", "lung", "px", 0, 5))
    found = figures(summarise(cases), "lung", "per_subject", "area_error")
    assert (found["n"], found["mean"]) == (1, pytest.approx((-0.1 + 0.2) / 2))


def test_the_volume_error_of_several_classes_is_their_mean() -> None:
    cases = of_areas(("A", "lung", "mm", 10, 11), ("A", "lung", "mm", 30, 31), ("A", "heart", "mm", 10, 7))
    cases["image"] = ["i", "j", "i"]
    assert figures(summarise(cases), "mean_of_classes", "per_subject", "area_error")["mean"] == pytest.approx(
        (2 / 40 - 0.3) / 2
    )
