"""What a release learns from digital phantoms before its own slices: which classes, and how long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.release.commands import Setting
from benchmarks.release.phantoms import SERIES, WithPhantoms
from benchmarks.release.releases import RELEASES
from pipeline.datalist import Datalist, write_datalist


def listed(slices: int, path: Path) -> None:
    cases = [{"image": f"{k}.png", "label": f"m{k}.png", "subject": str(k)} for k in range(slices)]
    write_datalist(Datalist("some", ["background", "lung"], "CT", training=cases), path)


class Told(WithPhantoms):
    """Commands are noted and not given; the list of phantoms has 50 slices to learn from."""

    def __init__(self, name: str, out: Path) -> None:
        super().__init__(RELEASES[name], Setting(Path("sets"), out, 1.0, (), False), lambda line: None)
        self.commands: dict[str, list[str]] = {}

    def step(self, name: str, words: Any, new: Path | None, after: Any = ()) -> None:
        self.commands[name] = [str(word) for word in words]
        if name == "index_phantoms":
            listed(50, self.list_of(f"{self.release.name}_phantoms"))


@pytest.fixture
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Told:
    made = Told(request.param, tmp_path)
    made.lists.mkdir(parents=True)
    listed(12, made.list_of(made.release.training))
    (made.bundle / "configs").mkdir(parents=True)
    text = yaml.safe_dump({"max_epochs": 100, "repeats": 5})
    (made.bundle / "configs" / "train.yaml").write_text(text, encoding="utf-8")
    return made


def coding_of(told: Told, *labels: str) -> dict[str, str]:
    told.start(("background", *labels))
    words = told.commands["index_phantoms"]
    pairs = (part.partition("=") for part in words[words.index("--levels") + 1].split(","))
    return {number: name for number, _, name in pairs if name != "background"}


@pytest.mark.parametrize("told", ["ct_chest_segmentation"], indirect=True)
def test_the_phantom_has_the_classes_of_the_task(told: Told) -> None:
    assert coding_of(told, "lung", "heart", "trachea") == {"1": "lung", "2": "lung", "3": "heart", "5": "trachea"}


@pytest.mark.parametrize("told", ["ct_lung_segmentation"], indirect=True)
def test_what_the_task_does_not_name_is_background(told: Told) -> None:
    assert coding_of(told, "lung") == {"1": "lung", "2": "lung"}


@pytest.mark.parametrize("told", ["ct_lung_segmentation"], indirect=True)
def test_a_third_of_the_planned_pictures_is_seen_first_and_the_training_begins_with_that(told: Told) -> None:
    option, folder = told.start(("background", "lung"))
    first = told.commands["train_phantoms"]
    assert "max_epochs=40" in first and "repeats=1" in first  # 12 × 5 × 100 / 3 pictures, 50 an epoch
    assert (option, folder) == ("--start-from", first[first.index("-o") + 1])
    assert told.commands["phantoms"][2:4] == ["-n", str(SERIES)]
