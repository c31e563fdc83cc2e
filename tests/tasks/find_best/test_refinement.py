"""Masks with known faults, and what is decided to be done to them."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.tasks.find_best.candidates import ReferenceRegions, fills_of, removals_of
from pipeline.tasks.find_best.deciding import decide_flips, decide_refinement
from pipeline.tasks.find_best.observed import Observed
from pipeline.tasks.find_best.scoring import dice_of, refine, score_candidates, subject_means, transforms_of
from pipeline.tasks.find_best.writing import _is_of_a_union

LUNG = {0: "background", 1: "lung"}
DISC = {0: "background", 1: "rim", 2: "cup"}


def keep(folder: Path, number: int, prediction: np.ndarray, reference: np.ndarray) -> Observed:
    file = folder / f"{number}.npz"
    np.savez_compressed(file, prediction=prediction.astype(np.uint8), reference=reference.astype(np.uint8))
    return Observed(f"{number}.png", f"s{number}", number % 5, file)


def two_lungs(shift: int = 0) -> np.ndarray:
    mask = np.zeros((64, 48), int)
    mask[6:24, 8 + shift : 36] = 1
    mask[36:56, 8 + shift : 38] = 1
    return mask


def lungs_with(folder: Path, *, specks: bool = False, holes: bool = False, number: int = 20) -> list[Observed]:
    cases = []
    for n in range(number):
        reference = two_lungs(n % 4)
        prediction = reference.copy()
        if specks:
            prediction[28:32, 2 : 6 + n % 3] = 1
        if holes:
            prediction[10:16, 16 : 22 + n % 3] = 0
        cases.append(keep(folder, n, prediction, reference))
    return cases


def test_false_regions_are_removed_and_both_lungs_are_kept(tmp_path: Path) -> None:
    found = decide_refinement(lungs_with(tmp_path, specks=True), LUNG)
    (step,) = found.steps
    removal, fill = found.decisions
    assert removal.verdict.kept
    assert not fill.verdict.kept
    assert step in (
        {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": [1], "num_components": 2},
        {
            "_target_": "pipeline.transforms.RemoveSmallRegionsd",
            "keys": "pred",
            "applied_labels": [1],
            "min_share": step.get("min_share"),
        },
    )
    assert found.after["lung"] == pytest.approx(1.0)
    assert found.before["lung"] < 0.995
    looked_at = dict(removal.looked_at)
    assert looked_at["keep the largest region"] < 0 < looked_at["keep the 2 largest regions"]


def test_holes_are_filled(tmp_path: Path) -> None:
    found = decide_refinement(lungs_with(tmp_path, holes=True), LUNG)
    assert [step["_target_"] for step in found.steps] == ["FillHolesd"]
    assert found.after["lung"] == pytest.approx(1.0)
    assert found.gain.mean == pytest.approx(found.after["lung"] - found.before["lung"])
    assert "fill holes: Dice +0.0" in found.decisions[-1].line()


def test_masks_without_faults_are_left_alone(tmp_path: Path) -> None:
    found = decide_refinement(lungs_with(tmp_path), LUNG)
    assert found.steps == ()
    assert not any(decision.verdict.kept for decision in found.decisions)
    assert found.before == found.after


def test_a_rare_class_is_not_taken_away_for_the_images_that_do_not_show_it(tmp_path: Path) -> None:
    cases = []
    for n in range(20):
        reference, prediction = two_lungs(n % 4), two_lungs(n % 4)
        prediction[26:30, 20:24] = 2  # a region of the same size, right in every fourth image
        if n % 4 == 0:
            reference[25:31, 20:25] = 2
        cases.append(keep(tmp_path, n, prediction, reference))
    found = decide_refinement(cases, {0: "background", 1: "lung", 2: "implant"})
    assert dict(found.decisions[2].looked_at)["remove regions below 0.0098 of the picture"] > 0.5
    assert found.steps == ()
    assert "not kept, a class loses by it" in found.decisions[2].line()


def test_few_subjects_decide_nothing(tmp_path: Path) -> None:
    assert decide_refinement(lungs_with(tmp_path, specks=True, holes=True, number=5), LUNG).steps == ()


def test_the_cup_within_the_rim_is_not_filled_up(tmp_path: Path) -> None:
    """FillHolesd takes another class for a hole: the rim would gain by its own holes and the cup be lost."""
    cases = []
    for n in range(12):
        reference = np.zeros((40, 40), int)
        reference[5:35, 5:35] = 1
        reference[14:26, 14 : 26 + n % 3] = 2
        prediction = reference.copy()
        prediction[8:12, 8:12] = 0
        cases.append(keep(tmp_path, n, prediction, reference))
    found = decide_refinement(cases, DISC)
    assert not [step for step in found.steps if step["_target_"] == "FillHolesd" and 1 in step["applied_labels"]]
    assert found.after["cup"] == 1.0


def test_the_quick_way_scores_as_the_transforms_themselves_do(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cases, regions = [], ReferenceRegions()
    for n in range(12):
        reference = two_lungs(n % 4)
        prediction = np.where(rng.random(reference.shape) < 0.02 * (n % 3), 1 - reference, reference)
        if n == 5:
            prediction[:] = 0
        if n == 7:
            prediction = np.zeros_like(reference)
            prediction[3, 3] = 1  # one region, and too small
        regions.add(reference == 1)
        cases.append(keep(tmp_path, n, prediction, reference))
    removals, fills = removals_of(1, regions), fills_of(1)
    assert len(removals) >= 3
    scores = score_candidates(cases, 1, 2, removals, fills)
    for number, case in enumerate(cases):
        prediction, reference = case.masks()
        for i, removal in enumerate([None, *removals]):
            for j, fill in enumerate([None, *fills]):
                steps = transforms_of([candidate.step for candidate in (removal, fill) if candidate])
                expected = dice_of(refine(prediction, steps), reference, 2)
                assert scores[number, i, j].tolist() == expected.tolist(), (number, i, j)


def test_a_class_that_is_in_neither_mask_is_right_and_a_false_one_is_wrong() -> None:
    nothing, something = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    something[2:4, 2:4] = 1
    assert dice_of(nothing, nothing, 2).tolist() == [1.0]
    assert dice_of(something, nothing, 2).tolist() == [0.0]
    assert dice_of(something, something, 2).tolist() == [1.0]


def test_a_class_of_many_regions_has_no_largest_one() -> None:
    regions = ReferenceRegions()
    many = np.zeros((60, 60), bool)
    many[::6, ::6] = True
    regions.add(many)
    assert not [c for c in removals_of(1, regions) if c.step["_target_"] == "KeepLargestConnectedComponentd"]
    assert removals_of(1, ReferenceRegions()) == []


def test_what_a_drawing_tool_leaves_behind_is_not_counted_as_a_region() -> None:
    regions = ReferenceRegions()
    mask = two_lungs() == 1
    mask[0, 0] = True
    regions.add(mask)
    said = [c.said for c in removals_of(1, regions)]
    assert "keep the 2 largest regions" in said
    assert "keep the 3 largest regions" not in said


def test_flips_are_kept_only_if_they_help(tmp_path: Path) -> None:
    cases = lungs_with(tmp_path)
    without = np.full((len(cases), 1), 0.9)
    better = without + np.random.default_rng(0).normal(0.01, 0.003, without.shape)
    assert decide_flips(without, better, cases).verdict.kept
    assert not decide_flips(without, without, cases).verdict.kept
    assert not decide_flips(better, without, cases).verdict.kept


def test_images_of_a_subject_count_once(tmp_path: Path) -> None:
    cases = [Observed(f"{n}.png", "a" if n < 3 else "b", 0 if n < 3 else 1, tmp_path) for n in range(4)]
    means, folds = subject_means(np.array([[1.0], [2.0], [3.0], [10.0]]), cases)
    assert means.tolist() == [[2.0], [10.0]]
    assert folds == [0, 1]


def test_what_is_said_of_several_classes_as_one_is_no_rule_of_single_classes() -> None:
    disc = {"_target_": "KeepLargestConnectedComponentd", "applied_labels": [1, 2], "independent": False}
    assert _is_of_a_union(disc)
    for other in ({"independent": True}, {"applied_labels": [1]}, {"applied_labels": None}):
        assert not _is_of_a_union(disc | other)
    assert not _is_of_a_union("@some_step")
