from __future__ import annotations

import math

import pandas as pd
import pytest

from pipeline.errors import InvalidOption
from pipeline.metrics import bootstrap_interval, paired_differences


def table(*rows: tuple, metric: str = "dice", **more: object) -> pd.DataFrame:
    """Rows of (image, subject, class, score)."""
    return pd.DataFrame([{"image": i, "subject": s, "class": c, metric: v, **more} for i, s, c, v in rows])


def test_the_difference_is_b_minus_a_with_each_subject_counting_once() -> None:
    a = table(("a1", "A", "lung", 0.5), ("a2", "A", "lung", 0.7), ("b", "B", "lung", 0.9), ("c", "C", "lung", 0.8))
    b = table(("a1", "A", "lung", 0.6), ("a2", "A", "lung", 0.9), ("b", "B", "lung", 0.8), ("c", "C", "lung", 0.8))
    found = paired_differences(a, b)
    assert found.by_subject == pytest.approx({"A": 0.15, "B": -0.1, "C": 0.0})
    assert found.mean == pytest.approx(0.05 / 3)
    assert (found.n, found.images, found.wins, found.losses, found.ties, found.left_out) == (3, 4, 1, 1, 1, 0)
    assert (found.ci_low, found.ci_high) == pytest.approx(bootstrap_interval([0.15, -0.1, 0.0]))


def test_pairing_tells_what_two_separate_intervals_do_not() -> None:
    scores = [0.3 + 0.06 * k for k in range(12)]
    a = table(*[(f"i{k}", f"s{k}", "lung", v) for k, v in enumerate(scores)])
    b = table(*[(f"i{k}", f"s{k}", "lung", v + 0.01 + 0.002 * (k % 3)) for k, v in enumerate(scores)])
    found = paired_differences(a, b)
    assert found.ci_low > 0
    assert found.wins == 12
    assert bootstrap_interval(a["dice"])[1] > bootstrap_interval(b["dice"])[0]


def test_rows_are_paired_by_case_and_not_by_place() -> None:
    a = table(("a", "A", "disc", 0.5), ("a", "A", "cup", 0.1), ("b", "B", "disc", 0.6), ("b", "B", "cup", 0.2))
    b = a.iloc[::-1].reset_index(drop=True)
    found = paired_differences(a, b)
    assert found.by_subject == {"A": 0.0, "B": 0.0}
    assert found.ties == 2


def test_one_class_can_be_compared_alone() -> None:
    a = table(("a", "A", "disc", 0.5), ("a", "A", "cup", 0.1))
    b = table(("a", "A", "disc", 0.6), ("a", "A", "cup", 0.9))
    assert paired_differences(a, b, label="disc").mean == pytest.approx(0.1)
    assert paired_differences(a, b).mean == pytest.approx((0.1 + 0.8) / 2)
    assert paired_differences(a, b).ci_low is None  # one subject


def test_of_distances_less_is_better() -> None:
    a = table(("a", "A", "lung", 10.0), ("b", "B", "lung", 4.0), metric="hd95", distance_unit="mm")
    b = table(("a", "A", "lung", 6.0), ("b", "B", "lung", 5.0), metric="hd95", distance_unit="mm")
    found = paired_differences(a, b, "hd95")
    assert (found.mean, found.wins, found.losses) == (pytest.approx(-1.5), 1, 1)


def test_of_signed_errors_the_one_nearer_to_zero_is_better() -> None:
    a = table(("a", "A", "lung", -0.3), ("b", "B", "lung", 0.1), metric="area_error")
    b = table(("a", "A", "lung", 0.2), ("b", "B", "lung", -0.4), metric="area_error")
    found = paired_differences(a, b, "area_error")
    assert found.by_subject == pytest.approx({"A": -0.1, "B": 0.3})
    assert (found.wins, found.losses) == (1, 1)


def test_what_cannot_be_paired_is_counted_and_left_out() -> None:
    a = table(("a", "A", "lung", 0.5), ("b", "B", "lung", math.nan), ("only a", "C", "lung", 0.5))
    b = table(("a", "A", "lung", 0.6), ("b", "B", "lung", 0.7), ("only b", "D", "lung", 0.5))
    found = paired_differences(a, b)
    assert (found.n, found.left_out) == (1, 3)
    nothing = paired_differences(a.iloc[2:], b.iloc[2:])
    assert (nothing.mean, nothing.ci_low, nothing.n, nothing.left_out) == (None, None, 0, 2)


def test_images_are_known_by_their_pixels_where_both_tables_have_digests() -> None:
    a = table(("x/a.png", "A", "lung", 0.5)).assign(image_sha256="f00")
    b = table(("../y/a.png", "A", "lung", 0.7)).assign(image_sha256="f00")
    assert paired_differences(a, b).mean == pytest.approx(0.2)
    # Without digests, or with one digest for two images, names decide.
    assert paired_differences(a.assign(image_sha256=""), b).n == 0
    twice = table(("a", "A", "lung", 0.5), ("b", "B", "lung", 0.6)).assign(image_sha256="f00")
    assert paired_differences(twice, twice).n == 2


def test_millimetres_are_not_compared_with_pixels() -> None:
    a = table(("a", "A", "lung", 10.0), metric="hd95", distance_unit="mm")
    b = a.assign(distance_unit="px")
    with pytest.raises(InvalidOption, match=r"^95 % Hausdorff: a is in mm in A and in px in B"):
        paired_differences(a, b, "hd95")


def test_unknown_metrics_and_classes_are_refused_with_those_there_are() -> None:
    a = table(("a", "A", "lung", 0.5))
    with pytest.raises(InvalidOption, match="'iou' was not measured; choose one of dice"):
        paired_differences(a, a, "iou")
    with pytest.raises(InvalidOption, match="no class 'heart'; choose lung"):
        paired_differences(a, a, label="heart")


def test_a_case_that_stands_twice_in_a_table_is_refused() -> None:
    a = table(("a", "A", "lung", 0.5), ("a", "A", "lung", 0.6))
    with pytest.raises(InvalidOption, match="a, lung: stands twice"):
        paired_differences(a, a)


def test_what_is_invented_on_an_empty_reference_counts_against_the_inventor() -> None:
    nothing = {"reference_pixels": 0, "predicted_pixels": 0}
    a = pd.concat([table(("empty", "E", "lung", math.nan), **nothing), table(("full", "F", "lung", 0.9))])
    b = pd.concat([table(("empty", "E", "lung", 0.0), **nothing | {"predicted_pixels": 500})])
    b = pd.concat([b, table(("full", "F", "lung", 0.91))])
    found = paired_differences(a, b)
    assert found.by_subject == pytest.approx({"E": -1.0, "F": 0.01})
    assert (found.wins, found.losses, found.left_out) == (1, 1, 0)
    assert paired_differences(b, a).by_subject == pytest.approx({"E": 1.0, "F": -0.01})
    far = b.rename(columns={"dice": "hd95"}).assign(hd95=[700.0, 3.0], distance_unit="px")
    near = a.rename(columns={"dice": "hd95"}).assign(hd95=[math.nan, 4.0], distance_unit="px")
    assert paired_differences(near, far, "hd95").by_subject == pytest.approx({"E": 700.0, "F": -1.0})


def test_distances_in_the_unit_of_the_fewer_images_are_left_out() -> None:
    rows = [("a", "A", "lung", 1.0), ("b", "B", "lung", 2.0), ("c", "C", "lung", 90.0)]
    a = table(*rows, metric="hd95").assign(distance_unit=["mm", "mm", "px"])
    b = a.assign(hd95=[2.0, 4.0, 10.0])
    found = paired_differences(a, b, "hd95")
    assert found.by_subject == pytest.approx({"A": 1.0, "B": 2.0})
    assert found.left_out == 1
