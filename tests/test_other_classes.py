"""What a bundle's settings say of its classes by number follows a copy's classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from monai.bundle import ConfigParser

from pipeline.bundle import Bundle, copy_bundle, find_bundle, note_on_classes
from pipeline.gate.rules import read_rules

CHEST = {0: "background", 1: "lung", 2: "heart", 3: "trachea"}
FUNDUS = {0: "background", 1: "disc_rim", 2: "cup"}


def copied(name: str, out: Path, *names: str) -> Bundle:
    return copy_bundle(find_bundle(name), out, dict(enumerate(("background", *names))))


def read(bundle: Bundle, kind: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(bundle.config(kind).read_text(encoding="utf-8"))
    return content


def refined(bundle: Bundle) -> list[tuple[str, list[int]]]:
    """The post-processing that takes place, and of which classes it is."""
    found = [read(bundle, kind)["refinement"] for kind in ("inference", "evaluate")]
    assert found[0] == found[1]
    return [(step["_target_"], step["applied_labels"]) for step in found[0] if not step.get("_disabled_")]


def test_these_are_the_settings_of_the_original() -> None:
    original = find_bundle("ct_chest_segmentation")
    assert original.labels("train") == CHEST
    assert [numbers for _, numbers in refined(original)] == [[2], [2], [3]]
    assert read(original, "train")["loss"]["weight"] == "$torch.tensor([0.34, 0.94, 1.36, 1.36], device=@device)"


def test_classes_in_another_order_keep_what_is_done_for_them(tmp_path: Path) -> None:
    copy = copied("ct_chest_segmentation", tmp_path / "copy", "Trachea", "heart", "lung")
    assert [numbers for _, numbers in refined(copy)] == [[2], [2], [1]]
    for kind in ("train", "multi_gpu_train"):
        train = read(copy, kind)
        assert train["loss"]["weight"] == "$torch.tensor([0.34, 1.36, 1.36, 0.94], device=@device)"
        emptied = [step for step in train["train"]["random_transforms"] if "classes" in step]
        assert [step["classes"] for step in emptied] == [[3]]


def test_what_is_done_for_a_class_that_is_gone_is_not_done_to_another(tmp_path: Path) -> None:
    copy = copied("ct_chest_segmentation", tmp_path / "copy", "trachea", "tumour")
    assert [numbers for _, numbers in refined(copy)] == [[1]]
    train = read(copy, "train")
    assert train["loss"]["weight"] is None  # a tumour has none
    assert [step["_disabled_"] for step in train["train"]["random_transforms"] if "classes" in step] == [True]


def test_capitals_make_no_other_class(tmp_path: Path) -> None:
    copy = copied("ct_chest_segmentation", tmp_path / "copy", "Lung", "Heart", "Trachea")
    original = find_bundle("ct_chest_segmentation")
    assert copy.labels("train") == {0: "background", 1: "Lung", 2: "Heart", 3: "Trachea"}
    for kind in ("train", "inference", "evaluate"):
        before, after = (one.config(kind).read_text(encoding="utf-8").splitlines() for one in (original, copy))
        changed = [line for line, other in zip(before, after, strict=True) if line != other]
        assert all(line.startswith("labels:") for line in changed)


def test_a_name_in_another_unicode_form_or_with_spaces_is_no_other_class(tmp_path: Path) -> None:
    labels = {0: "background", 1: "gr\u00f6\u00dfe"}
    assert "left out" not in note_on_classes(labels, {0: "background", 1: " Gro\u0308\u00dfe"})[0]
    copy = copied("ct_chest_segmentation", tmp_path / "copy", "lung", "heart", " Trachea ")
    assert [numbers for _, numbers in refined(copy)] == [[2], [2], [3]]


def test_unions_follow_their_classes(tmp_path: Path) -> None:
    original = find_bundle("fundus_disc_cup_segmentation")
    assert (original.labels("train"), read(original, "train")["unions"]) == (FUNDUS, {3: [1, 2]})
    copy = copied("fundus_disc_cup_segmentation", tmp_path / "one", "vessel", "cup", "disc_rim")
    assert read(copy, "train")["unions"] == {4: [3, 2]}
    assert refined(copy) == [("KeepLargestConnectedComponentd", [3, 2])]
    copy = copied("fundus_disc_cup_segmentation", tmp_path / "other", "cup", "vessel")
    assert read(copy, "train")["unions"] == {}
    assert refined(copy) == []


@pytest.mark.parametrize(
    ("name", "labels"),
    [("ct_chest_segmentation", ("lung", "tumour")), ("fundus_disc_cup_segmentation", ("cup", "vessel"))],
)
def test_rules_of_plausibility_speak_of_no_class_that_is_gone(
    name: str, labels: tuple[str, ...], tmp_path: Path
) -> None:
    copy = copied(name, tmp_path / "copy", *labels)
    path = copy.root / "configs" / "quality.yaml"
    read_rules(path, copy.labels("train"))
    rules = yaml.safe_load(path.read_text(encoding="utf-8"))["classes"]
    assert list(rules) == [labels[0]]
    assert "inside" not in rules[labels[0]]


def test_disabled_steps_are_left_out_where_monai_reads_them(tmp_path: Path) -> None:
    copy = copied("ct_chest_segmentation", tmp_path / "copy", "trachea", "tumour")
    parser = ConfigParser()
    parser.read_config(copy.config("inference"))
    refinement = parser.get_parsed_content("refinement")
    assert [type(step).__name__ for step in refinement] == ["KeepLargestConnectedComponentd"]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (CHEST, []),
        ({0: "background", 1: "Lung", 2: "Heart", 3: "Trachea"}, ["The classes are the datalist's: "]),
        ({0: "background", 1: "lung", 2: "tumour"}, ["What the bundle does for heart, trachea alone "]),
    ],
)
def test_a_user_is_told(labels: dict[int, str], told: list[str]) -> None:
    notes = note_on_classes(CHEST, labels)
    assert len(notes) == len(told)
    assert all(part in note for part, note in zip(told, notes, strict=True))
    assert ("left out" in "".join(notes)) is ("tumour" in labels.values())
