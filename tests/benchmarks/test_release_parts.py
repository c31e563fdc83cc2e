"""More subjects validate than a small set's usual split leaves, and none of the test part's."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks.release.parts import chosen_for_validation, write_parts
from pipeline.datalist import Datalist, write_datalist


def content(pictures: dict[str, list[tuple[str, int]]]) -> Datalist:
    """A datalist of parts whose subjects have so many pictures each."""
    parts = {
        part: [
            {"image": f"images/{subject}_{k}.png", "label": f"masks/{subject}_{k}.png", "subject": subject}
            for subject, count in subjects
            for k in range(count)
        ]
        for part, subjects in pictures.items()
    }
    return Datalist(name="few", labels=["background", "disc"], modality="XC", **parts)


@pytest.fixture
def few() -> Datalist:
    training = [("many", 3), *((f"t{k}", 1) for k in range(6))]
    return content({"training": training, "validation": [("v0", 1)], "test": [("x0", 2), ("x1", 1)]})


def test_who_validates_already_goes_on_and_subjects_of_many_pictures_stay_in_training(few: Datalist) -> None:
    chosen = chosen_for_validation(few, 4)
    assert len(chosen) == 4
    assert "v0" in chosen
    assert not chosen & {"many", "x0", "x1"}
    assert chosen_for_validation(few, 8) == {"v0", "many", *(f"t{k}" for k in range(6))}


def test_the_choice_depends_on_the_seed_and_not_on_the_key_of_the_pseudonyms(few: Datalist) -> None:
    first = {Path(item["image"]).name for item in few.training if item["subject"] in chosen_for_validation(few, 4)}
    for item in few.training:
        item["subject"] = item["subject"][::-1]
    again = {Path(item["image"]).name for item in few.training if item["subject"] in chosen_for_validation(few, 4)}
    assert again == first
    assert any(chosen_for_validation(few, 4, seed=seed) != chosen_for_validation(few, 4) for seed in range(1, 9))


@pytest.mark.parametrize("wanted", [0, 3])
def test_the_table_names_all_pictures_and_leaves_the_test_part_alone(
    few: Datalist, wanted: int, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    write_datalist(few, tmp_path / "usual.json")
    write_parts(tmp_path / "usual.json", wanted, tmp_path / "parts.csv")
    with (tmp_path / "parts.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows if row["part"] == "test"} == {"x0_0.png", "x0_1.png", "x1_0.png"}
    assert len({row["subject"] for row in rows if row["part"] == "validation"}) == wanted
    assert len(rows) == len({row["file"] for row in rows}) == 13
