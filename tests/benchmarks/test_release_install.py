"""A finished release in its place, and what half precision costs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.release.half import count_parameters, difference, write_both
from benchmarks.release.install import LARGEST_BYTES, Made, card_by_hand, card_to_fill, install
from pipeline.errors import InvalidBundle, InvalidEvaluation
from pipeline.report.model_card import BY_HAND, WRITTEN

NAME = "cells_wbc_segmentation"


@pytest.fixture
def made(tmp_path: Path) -> Made:
    planned, trained = tmp_path / "planned", tmp_path / "trained"
    for folder, files in {
        planned: ("configs/train.yaml", "configs/metadata.json", "LICENSE", "docs/README.md", "models/old.pt"),
        trained: (
            "configs/train.yaml",
            "configs/metadata.json",
            "docs/README.md",
            "models/gate.json",
            "models/last.pt",
        ),
    }.items():
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(f"{folder.name} {file}")
    (trained / "models" / "model.pt").write_bytes(b"weights")
    for name in ("cells.html", "run.zip", "test.zip"):
        (tmp_path / name).write_text(name)
    packs = {what: tmp_path / f"{what}.zip" for what in ("run", "test")}
    return Made(planned, trained, {"cells": tmp_path / "cells.html"}, packs, {"seconds": 1.5})


def test_a_release_is_planned_configs_with_what_training_has_made(made: Made, tmp_path: Path) -> None:
    (tmp_path / "bundles" / NAME).mkdir(parents=True)
    (tmp_path / "bundles" / NAME / "former.txt").write_text("of the former release")
    root = install(made, NAME, tmp_path / "bundles")
    assert root == tmp_path / "bundles" / NAME
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert files == {
        "LICENSE",
        "configs/metadata.json",
        "configs/train.yaml",
        "docs/README.md",
        "docs/data_license.txt",
        "docs/release.json",
        "docs/report_cells.html",
        "docs/run.zip",
        "docs/test.zip",
        "models/gate.json",
        "models/model.pt",
    }
    assert (root / "configs" / "train.yaml").read_text() == "planned configs/train.yaml"
    assert (root / "configs" / "metadata.json").read_text() == "trained configs/metadata.json"
    assert (root / "docs" / "README.md").read_text() == "trained docs/README.md"
    assert json.loads((root / "docs" / "release.json").read_text()) == {"seconds": 1.5}
    assert [path.name for path in root.parent.iterdir()] == [NAME]


def test_packs_of_the_recipe_and_of_joined_classes_lie_beside_the_others(made: Made, tmp_path: Path) -> None:
    packs = {what: tmp_path / f"{what}.zip" for what in ("run", "test", "recipe", "united")}
    for what, pack in packs.items():
        pack.write_text(what)
    root = install(replace(made, packs=packs), NAME, tmp_path / "bundles")
    assert {path.stem for path in (root / "docs").glob("*.zip")} == set(packs)


def test_a_release_that_lacks_something_leaves_the_former_one(made: Made, tmp_path: Path) -> None:
    root = install(made, NAME, tmp_path / "bundles_of_then")
    (made.trained / "models" / "gate.json").unlink()
    with pytest.raises(InvalidBundle, match=r"gate\.json is not there"):
        install(made, NAME, tmp_path / "bundles_of_then")
    assert (root / "models" / "gate.json").is_file()


def test_weights_that_are_too_large_are_not_released(made: Made, tmp_path: Path) -> None:
    with (made.trained / "models" / "model.pt").open("wb") as file:
        file.truncate(LARGEST_BYTES + 1)
    with pytest.raises(InvalidBundle, match=r"15\.0 MB; at most 15 are released"):
        install(made, NAME, tmp_path / "bundles")


def test_the_end_of_the_card_has_what_no_run_has() -> None:
    figures = {"disc": {"dice": {"mean": 0.951, "ci_low": 0.94, "ci_high": 0.96, "n": 5}}}
    half = {"weights": "the released weights", "difference": -0.00001, "numbers": 10, "largest_of_a_case": 0.0002}
    text = card_by_hand(NAME, {"fundus_disc, disc=disc_rim,cup": figures}, half)
    assert "### Limits" in text
    assert "| fundus_disc | disc | 5 | 0.951 (0.940 to 0.960) |" in text
    assert "-0.000010 in the mean over 10 numbers" in text
    card = card_to_fill(text)
    assert card.startswith(WRITTEN)
    assert card.partition(BY_HAND)[2].strip() == text


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))


def test_both_precisions_are_of_the_same_weights(tmp_path: Path) -> None:
    weights = network().state_dict()
    torch.save(weights, tmp_path / "model.pt")
    assert write_both(tmp_path, tmp_path / "both") == "the released weights"
    full, half = (torch.load(tmp_path / "both" / f"{name}.pt", weights_only=True) for name in ("full", "half"))
    assert torch.equal(full["0.weight"], weights["0.weight"])
    assert torch.equal(half["0.weight"], weights["0.weight"].half())


def test_where_the_best_were_rounded_the_last_ones_are_compared(tmp_path: Path) -> None:
    weights = network().state_dict()
    torch.save(
        {name: value.half() if value.is_floating_point() else value for name, value in weights.items()},
        tmp_path / "model.pt",
    )
    torch.save({"network": {}, "averaged": weights}, tmp_path / "last.pt")
    assert write_both(tmp_path, tmp_path / "both") == "the last epoch's weights"
    assert torch.equal(torch.load(tmp_path / "both" / "full.pt", weights_only=True)["0.weight"], weights["0.weight"])


def test_parameters_are_counted_once_and_statistics_are_none(tmp_path: Path) -> None:
    weights = network().state_dict()
    torch.save({**weights, "again": weights["0.weight"]}, tmp_path / "model.pt")
    assert count_parameters(tmp_path / "model.pt") == 4 * 9 + 4 + 2 * 4


def cases(folder: Path, *dice: str) -> Path:
    folder.mkdir()
    rows = "".join(f"image_{number},disc,{value}\n" for number, value in enumerate(dice))
    (folder / "cases.csv").write_text(f"image,class,dice\n{rows}")
    return folder


def test_the_difference_is_of_the_means_and_of_the_worst_case(tmp_path: Path) -> None:
    found = difference(cases(tmp_path / "full", "0.9", "0.8", ""), cases(tmp_path / "half", "0.901", "0.796", ""))
    assert found["difference"] == pytest.approx(-0.0015)
    assert found["largest_of_a_case"] == pytest.approx(0.004)
    assert found["numbers"] == 2
    with pytest.raises(InvalidEvaluation, match="not of the same cases"):
        difference(tmp_path / "full", cases(tmp_path / "other", "0.9"))
