from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_phantoms import evaluated, films, shifted

from pipeline.errors import InvalidEvaluation
from pipeline.report.comparison import Comparison, Group, comparisons, group_evaluations, verdict
from pipeline.report.comparison_limits import comparison_limits
from pipeline.report.comparison_page import comparison_page, sentence
from pipeline.report.evaluation import EvaluationView, view_evaluation
from pipeline.report.matrix import matrix_of
from pipeline.report.measures import MEASURES
from pipeline.report.pictures import CaseSource

DICE, HAUSDORFF = MEASURES[0], next(measure for measure in MEASURES if measure.key == "hd95")

Make = Callable[..., EvaluationView]


@pytest.fixture(scope="module")
def datalist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films(tmp_path_factory.mktemp("comparison") / "films")


@pytest.fixture
def make(tmp_path: Path, datalist: Path) -> Make:
    """Evaluations of the films, off by a number of pixels that differs from film to film."""
    made: list[int] = []

    def one(
        off: Callable[[int], int] = lambda number: number % 3, where: Path = datalist, **options: Any
    ) -> EvaluationView:
        made.append(1)
        about = {"bundle": f"model_{len(made)}", "checkpoint_sha256": f"{len(made)}" * 64, **options.pop("about", {})}
        folder = tmp_path / f"ev{len(made)}"
        return view_evaluation(
            evaluated(folder, where, lambda number, mask: shifted(mask, off(number)), about=about, **options)
        )

    return one


def compared(*views: EvaluationView) -> tuple[Group, Comparison]:
    (group,) = group_evaluations(views)
    group.comparisons.extend(comparisons(group))
    return group, group.comparisons[0]


def test_the_difference_is_the_second_less_the_first_subject_by_subject(make: Make) -> None:
    first, second = make(), make(lambda number: number % 3 + 2)
    _, comparison = compared(first, second)
    found = comparison.differences["lung"]["dice"]
    by_hand = [
        second.cases.set_index(["subject", "class"])["dice"].xs("lung", level=1).groupby(level=0).mean()
        - first.cases.set_index(["subject", "class"])["dice"].xs("lung", level=1).groupby(level=0).mean()
    ][0]
    assert found.mean == pytest.approx(by_hand.mean())
    assert (found.wins, found.losses, found.n) == (0, 6, 6)
    assert list(comparison.differences) == ["lung", "heart", "mean_of_classes"]
    assert verdict(DICE, found) == "worse"
    assert verdict(HAUSDORFF, comparison.differences["lung"]["hd95"]) == "worse"
    assert "B is worse than A: Dice −0." in sentence(comparison)
    _, other_way = compared(second, first)
    assert verdict(HAUSDORFF, other_way.differences["lung"]["hd95"]) == "better"


def test_equal_evaluations_cannot_be_told_apart(make: Make) -> None:
    _, comparison = compared(make(), make())
    assert sentence(comparison) == (
        "Whether A or B is better cannot be told: Dice 0.000 (95 % interval 0.000 to 0.000); higher in 0, lower in 0 "
        "and equal in 6 of 6 subjects."
    )


@pytest.mark.parametrize(("subjects", "told"), [(2, False), (4, False), (5, True)])
def test_of_a_few_subjects_no_winner_is_told(make: Make, subjects: int, told: bool) -> None:
    """All of them are worse, so that the interval leaves zero out."""

    def few(view: EvaluationView) -> EvaluationView:
        kept = sorted(view.cases["subject"].unique())[:subjects]
        return replace(view, files=replace(view.files, cases=view.cases[view.cases["subject"].isin(kept)]))

    group, comparison = compared(few(make()), few(make(lambda number: number % 3 + 2)))
    found = comparison.differences["lung"]["dice"]
    assert found.ci_high is not None and found.ci_high < 0
    assert verdict(DICE, found) == ("worse" if told else "")
    said = "B is worse than A" if told else "Too few subjects to tell whether A or B is better"
    assert sentence(comparison).startswith(said)
    assert ("too few subjects" in comparison_page([group], {}, [])) is not told


def test_images_are_paired_by_their_pixels_whatever_they_are_called(make: Make) -> None:
    first, second = make(), make(lambda number: 4 if number == 7 else number % 3)
    renamed = replace(
        second, files=replace(second.files, cases=second.cases.assign(image="elsewhere/" + second.cases["image"]))
    )
    _, comparison = compared(first, renamed)
    table = comparison.by_image()
    assert len(table) == 12
    worst = table.iloc[0]
    assert (worst["image_first"], worst["image_second"]) == ("images/film007.png", "elsewhere/images/film007.png")
    assert worst["difference"] < 0
    assert (table["difference"][1:] == 0).all()


def test_each_of_several_is_compared_with_the_first(make: Make) -> None:
    (group,) = group_evaluations([make(), make(), make()])
    assert [(c.first.letter, c.second.letter) for c in comparisons(group)] == [("A", "B"), ("A", "C")]


def test_one_bundle_twice_is_told_apart_by_its_folder(make: Make) -> None:
    same = {"bundle": "one", "checkpoint_sha256": "0" * 64}
    (group,) = group_evaluations([make(about=same), make(about=same)])
    assert [entry.title for entry in group.entries] == ["A: one (ev1)", "B: one (ev2)"]


@pytest.mark.parametrize("only", [11, 3])
def test_cases_that_are_shared_in_part_are_refused(make: Make, only: int) -> None:
    with pytest.raises(
        InvalidEvaluation, match=rf"scores 12 cases and .*ev2 {only}, of which {only} are in both; expected"
    ):
        group_evaluations([make(), make(only=only)])


def test_one_set_with_quite_other_pictures_is_refused(make: Make, tmp_path: Path) -> None:
    other = films(tmp_path / "other", seed=9)
    with pytest.raises(InvalidEvaluation, match="are both of phantoms, test, and have no case in common"):
        group_evaluations([make(), make(where=other)])


def test_other_classes_are_refused(make: Make) -> None:
    first = make()
    other = first.cases.replace({"class": {"heart": "aorta"}})
    with pytest.raises(InvalidEvaluation, match=r"scores lung, heart; .* lung, aorta\. Expected the same classes"):
        group_evaluations([first, replace(first, files=replace(first.files, cases=other))])


def test_other_reference_masks_are_refused(make: Make) -> None:
    first = make()
    other = first.cases.copy()
    other.loc[5, "reference_pixels"] += 1
    with pytest.raises(
        InvalidEvaluation, match=r"have other reference masks of 1 of 24 rows, first images/film002\.png"
    ):
        group_evaluations([first, replace(first, files=replace(first.files, cases=other))])


def test_two_models_on_two_sets_have_nothing_in_common(make: Make, tmp_path: Path) -> None:
    other = films(tmp_path / "other", name="others", seed=9)
    with pytest.raises(
        InvalidEvaluation, match=r"There is nothing to compare: .*model_1 on phantoms; B: model_2 on others"
    ):
        group_evaluations([make(), make(where=other)])


def test_models_by_sets_make_a_matrix(make: Make, tmp_path: Path) -> None:
    other = films(tmp_path / "other", name="others", seed=9)
    one = {"bundle": "one", "checkpoint_sha256": "1" * 64, "trained_on": "phantoms (40 training cases)"}
    two = {"bundle": "two", "checkpoint_sha256": "2" * 64, "trained_on": "others (9 training cases)"}
    groups = group_evaluations([make(about=one), make(about=two), make(about=one, where=other)])
    matrix = matrix_of(groups)
    assert matrix is not None
    assert matrix.data == ["phantoms, test", "others, test"]
    assert [(name, trained) for name, trained, _ in matrix.rows] == [
        ("one", "phantoms (40 training cases)"),
        ("two", "others (9 training cases)"),
    ]
    assert [[entry.letter if entry else None for entry in row] for _, _, row in matrix.rows] == [
        ["A", "C"],
        ["B", None],
    ]
    assert matrix_of(groups[:1]) is None
    html = comparison_page(groups, {}, [])
    own = re.findall(r"◆ ([\d.]+) \(", html)
    assert own[0] == f"{groups[0].entries[0].view.summary['mean_of_classes']['per_subject']['dice']['mean']:.3f}"
    assert len(own) == 3  # Dice, surface Dice, 95 % Hausdorff


def test_the_limits_name_the_number_of_intervals_and_who_knew_the_set(make: Make) -> None:
    group, _ = compared(make(), make(about={"trained_on": "phantoms (40 training cases)"}))
    found = {limit.code: limit for limit in comparison_limits([group])}
    metrics = len(group.measures)
    assert found["many_intervals"].text.startswith(f"{3 * metrics} intervals")
    assert found["own_set"].text.startswith("B was trained on other cases of phantoms, the others on other sets")
    assert found["few_subjects"].grave
    assert "left_out" not in found
    assert list(found)[-1] == "one_run"


@pytest.mark.parametrize(("off", "weights", "same"), [(2, "1", True), (2, "2", False), (3, "1", False), (2, "", False)])
def test_an_evaluation_against_itself_is_said_to_be_one(make: Make, off: int, weights: str, same: bool) -> None:
    about = {"checkpoint_sha256": weights * 64}
    group, _ = compared(make(lambda number: 2), make(lambda number: off, about=about))
    found = {limit.code: limit for limit in comparison_limits([group])}
    assert ("same_evaluation" in found) is same
    if same:
        assert found["same_evaluation"].grave
        assert found["same_evaluation"].text.startswith("A and B are of the same weights and score every case alike")


def test_the_page_shows_what_differs_most_from_both_sides(make: Make, datalist: Path) -> None:
    first = make(lambda number: 2)
    second = make(lambda number: {0: 5, 1: 4, 2: 0}.get(number, 2))
    group, _ = compared(first, second)
    notes: list[str] = []
    source = CaseSource.of(first, datalist)
    html = comparison_page([group], {group.title: source}, notes)
    assert notes == []
    assert html == comparison_page([group], {group.title: source}, [])
    titles = re.findall(r"<h4>(.*?)</h4>", html)
    assert titles == ["A is better", "B is better"]
    shown = re.findall(r"<strong>(film\d+\.png)</strong>", html)
    assert shown == ["film000.png", "film001.png", "film002.png"]
    assert f"{first.cases['dice'].iloc[0]:.3f}" in html
    tips = re.findall(r'<path [^>]*data-tip="([^"]*)"', html)
    assert len(tips) == 2 * 12
    assert any(tip.startswith("film000.png\nsubject ") and "A 0." in tip for tip in tips)
    assert not re.findall(r"https?://(?!www\.w3\.org)", html)
    assert str(datalist.parent) not in html


def test_a_mask_that_is_gone_is_noted(make: Make, datalist: Path) -> None:
    first, second = make(), make(lambda number: 4 if number == 7 else number % 3)
    (second.folder / "masks" / "film007.png").unlink()
    group, _ = compared(first, second)
    notes: list[str] = []
    comparison_page([group], {group.title: CaseSource.of(first, datalist)}, notes)
    assert notes == ["film007.png is not shown: its mask is not in both evaluation folders."]


def test_a_class_that_one_of_them_has_nowhere_is_left_out_and_counted(tmp_path: Path, make: Make) -> None:
    first, second = make(), make()
    cases = second.cases.copy()
    cases.loc[cases["image"] == "images/film003.png", "dice"] = np.nan
    group, comparison = compared(first, replace(second, files=replace(second.files, cases=cases)))
    assert comparison.differences["lung"]["dice"].left_out == 1
    assert len(comparison.by_image()) == 11
    assert "left_out" in {limit.code for limit in comparison_limits([group])}


def test_what_one_of_three_did_not_measure_is_missing_in_its_column_alone(make: Make) -> None:
    first, second = make(), make(lambda number: number % 3 + 2)
    (group,) = group_evaluations([first, second, make(probabilities=False)])
    group.comparisons.extend(comparisons(group))
    assert ["ece" in found.differences["lung"] for found in group.comparisons] == [True, False]
    page = comparison_page([group], {}, [])
    rows = re.findall(r"<tr><th[^>]*><span[^>]*>Calibration error</span></th>(.*?)</tr>", page)
    assert [row.count("<td") for row in rows] == [3, 3, 3, 6, 6, 6]  # side by side, and the second against the first
    assert all(row.endswith(">–</td>") and row.count("–</td>") == 1 for row in rows[:3])
