"""Rules of plausibility: each finds what it is for, in words, and a wrong file is told by its key."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.errors import InvalidBundle
from pipeline.fingerprint import Gatherer, SetFacts, measure_case
from pipeline.gate import broken_rules, default_rules, read_rules, rules_from

LUNGS = {0: "background", 1: "lung"}
EYE = {0: "background", 1: "disc_rim", 2: "cup"}


def mask(*boxes: tuple[int, int, int, int, int]) -> np.ndarray:
    """Boxes of (class, x from, x to, y from, y to) on 100 × 100 pixels, later ones on top."""
    out = np.zeros((100, 100), np.uint8)
    for index, left, right, top, bottom in boxes:
        out[left:right, top:bottom] = index
    return out


TWO = mask((1, 10, 40, 20, 80), (1, 60, 90, 20, 80))
ONE = mask((1, 10, 40, 20, 80))
CORNER = mask((1, 0, 30, 0, 60))
RING = mask((1, 10, 60, 10, 60), (0, 20, 50, 20, 50))


def said(found: np.ndarray, labels: dict[int, str] = LUNGS, **rules: Any) -> list[str]:
    name = labels[max(labels)]
    return broken_rules(found, labels, rules_from({"classes": {name: rules}}, labels))


def test_a_mask_that_keeps_all_rules_is_not_spoken_of() -> None:
    assert (
        said(
            TWO,
            present="always",
            objects=2,
            area_share=[0.2, 0.5],
            largest_share=[0.4, 0.7],
            specks=0.1,
            holes=0.1,
            border=0.1,
        )
        == []
    )


@pytest.mark.parametrize(
    ("found", "rules", "line"),
    [
        (mask(), {"present": "always"}, "lung: nothing was found; expected in every picture."),
        (ONE, {"objects": 2}, "lung: 1 object; expected 2."),
        (TWO, {"objects": [3, 5]}, "lung: 2 objects; expected 3 to 5."),
        (TWO, {"area_share": [0.4, 0.6]}, "lung: 36 % of the picture; expected 40 % to 60 %."),
        (ONE, {"largest_share": [0.4, 0.7]}, "lung: 100 % of it in the largest object; expected 40 % to 70 %."),
        # 90 pixels of edge; the other 90 are measured as 84, as slanted ones would be a little long.
        (CORNER, {"border": 0.1}, "lung: 52 % of its outline on the picture's edge; expected at most 10 %."),
        (RING, {"holes": 0.1}, "lung: 56 % holes, of its area; expected at most 10 %."),
    ],
)
def test_a_broken_rule_is_said_in_words(found: np.ndarray, rules: dict[str, Any], line: str) -> None:
    assert said(found, **rules) == [line]


def test_specks_are_not_counted_as_objects_but_as_specks() -> None:
    ragged = TWO.copy()
    ragged[0:100:4, 0:18:4] = 1  # single pixels above both lungs
    assert said(ragged, objects=2) == []
    assert said(ragged, specks=0.01) == ["lung: 3.4 % of it in specks; expected at most 1 %."]


def test_a_cup_outside_its_disc_is_found() -> None:
    inside = mask((1, 20, 80, 20, 80), (2, 40, 60, 40, 60))
    outside = mask((1, 20, 80, 20, 80), (2, 70, 90, 40, 60))
    assert said(inside, EYE, inside="disc_rim") == []
    assert said(outside, EYE, inside="disc_rim") == ["cup: only 0 % of it within disc rim; expected all."]


def test_another_class_in_a_hole_is_no_hole() -> None:
    rim = mask((1, 20, 80, 20, 80), (2, 40, 60, 40, 60))
    assert broken_rules(rim, EYE, rules_from({"classes": {"disc_rim": {"holes": 0.01}}}, EYE)) == []


def test_an_absent_class_breaks_no_rule_but_that_it_must_be_there() -> None:
    assert said(mask(), objects=2, area_share=[0.1, 0.5]) == []
    assert said(mask(), present="sometimes", objects=2) == []


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"clases": {}}, "'clases' is no key here; known are classes"),
        ({"classes": {"lungs": {}}}, "lungs is no class of the bundle; its classes are lung"),
        ({"classes": {"lung": {"object": 2}}}, "'object' is no key here"),
        ({"classes": {"lung": {"objects": [2, 1]}}}, r"objects is \[2, 1\]; expected \[least, greatest\]"),
        ({"classes": {"lung": {"objects": "two"}}}, "objects is 'two'; expected a number"),
        ({"classes": {"lung": {"area_share": [0, 30]}}}, "from 0 to 1"),
        ({"classes": {"lung": {"present": "often"}}}, "present is 'often'; expected always or sometimes"),
        ({"classes": {"lung": {"inside": "heart"}}}, "inside is 'heart'; expected another class"),
        ({"classes": ["lung"]}, "expected rules by class name"),
        ({"limits": {"dice": 0.9}}, "'dice' is no key here; known are distance, predicted_dice"),
        ({"slices": 3}, "slices is"),
        ("two lungs", "expected keys such as `classes`"),
    ],
)
def test_a_wrong_rule_is_told_by_its_key(document: Any, message: str) -> None:
    with pytest.raises(InvalidBundle, match=message):
        rules_from(document, LUNGS)


def test_no_file_is_no_rules_and_a_bad_file_is_named(tmp_path: Path) -> None:
    assert read_rules(tmp_path / "quality.yaml", LUNGS).classes == {}
    (tmp_path / "quality.yaml").write_text("classes: {lung: [")
    with pytest.raises(InvalidBundle, match=r"quality\.yaml: is not YAML"):
        read_rules(tmp_path / "quality.yaml", LUNGS)


def fingerprint_of(masks: list[np.ndarray], labels: dict[int, str]) -> Any:
    gatherer = Gatherer(len(labels))
    for one in masks:
        gatherer.add(measure_case(one.astype(np.float32), one, len(labels)))
    cases = {"training": len(masks), "validation": 0, "test": 0}
    return gatherer.fingerprint(SetFacts("set", list(labels.values()), "CR", ("training",), cases, cases))


def test_the_masks_of_a_set_keep_the_rules_made_from_its_fingerprint() -> None:
    rng = np.random.default_rng(0)
    masks = [mask((1, 8, 30 + rng.integers(15), 20, 70 + rng.integers(15)), (1, 60, 90, 20, 80)) for _ in range(30)]
    document = default_rules(fingerprint_of(masks, LUNGS), list(LUNGS.values()))
    rules = rules_from(yaml.safe_load(yaml.safe_dump(document)), LUNGS)
    assert [broken_rules(one, LUNGS, rules) for one in masks] == [[]] * 30
    assert document["classes"]["lung"]["present"] == "always"
    assert document["classes"]["lung"]["objects"] == [2, 2]
    lone = mask((1, 8, 40, 20, 80))
    assert "lung: 1 object; expected 2." in broken_rules(lone, LUNGS, rules)
    assert any("nothing was found" in line for line in broken_rules(mask(), LUNGS, rules))


def test_a_class_within_another_is_expected_there_and_one_that_is_not_always_there_may_be_absent() -> None:
    masks = [mask((1, 20, 80, 20, 80), (2, 40, 60, 40, 60 - k % 3)) for k in range(16)]
    masks += [mask((1, 20, 80, 20, 80))] * 4
    classes = default_rules(fingerprint_of(masks, EYE), list(EYE.values()))["classes"]
    assert classes["cup"]["inside"] == "disc_rim"
    assert classes["cup"]["present"] == "sometimes"
    assert classes["disc_rim"]["present"] == "always"


def test_a_class_is_always_there_though_files_could_not_be_read() -> None:
    found = fingerprint_of([TWO] * 12, LUNGS).document
    less = {**found, "cases": {**found["cases"], "training": found["cases"]["training"] + 3}}
    assert default_rules(less, list(LUNGS.values()))["classes"]["lung"]["present"] == "sometimes"
    told = default_rules({**less, "measured_cases": 12}, list(LUNGS.values()))
    assert told["classes"]["lung"]["present"] == "always"


def test_rules_are_kept_where_the_task_writes_the_classes_in_other_letters() -> None:
    masks = [mask((1, 20, 80, 20, 80), (2, 40, 60, 40, 60 - k % 3)) for k in range(16)]
    found = fingerprint_of(masks, EYE)
    same = default_rules(found, list(EYE.values()))["classes"]
    other = default_rules(found, ["Background", "Disc_Rim", "Cup"])["classes"]
    assert other["Disc_Rim"] == same["disc_rim"]
    assert other["Cup"] == same["cup"] | {"inside": "Disc_Rim"}


def test_the_task_spec_wins_over_the_fingerprint_and_null_drops_a_rule() -> None:
    found = fingerprint_of([TWO] * 12, LUNGS)
    rules = default_rules(found, list(LUNGS.values()), {"lung": {"objects": [1, 2], "border": None}})["classes"]["lung"]
    assert rules["objects"] == [1, 2]
    assert "border" not in rules
    with pytest.raises(InvalidBundle, match="plausibility: lung: objects"):
        default_rules(found, list(LUNGS.values()), {"lung": {"objects": "two"}})


def test_fewer_cases_leave_more_room() -> None:
    few, many = (
        default_rules(fingerprint_of([TWO] * n, LUNGS), list(LUNGS.values()))["classes"]["lung"]["area_share"]
        for n in (3, 100)
    )
    assert few[0] < many[0] < 0.36 < many[1] < few[1]


@pytest.mark.parametrize("number", [6, 12])
def test_of_many_small_objects_nothing_is_said_of_their_number(number: int) -> None:
    """Each of a hundred alike has less of its class than what counts as a speck."""
    nuclei = [
        (1, x, x + 4 + k % 2, y, y + 4) for k, (x, y) in enumerate(itertools.product(range(2, 100, 10), repeat=2))
    ]
    masks = [np.roll(mask(*nuclei), k, 0) for k in range(number)]
    document = default_rules(fingerprint_of(masks, LUNGS), list(LUNGS.values()))
    assert not {"objects", "largest_share", "specks"} & set(document["classes"]["lung"])
    rules = rules_from(yaml.safe_load(yaml.safe_dump(document)), LUNGS)
    assert [broken_rules(one, LUNGS, rules) for one in masks] == [[]] * number
