"""What a release adds up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.release import steps
from benchmarks.release.commands import Setting
from benchmarks.release.releases import RELEASES
from benchmarks.release.steps import beside, seconds_before
from pipeline.errors import InvalidBundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "lungs" / "configs").mkdir(parents=True)
    (tmp_path / "lungs" / "configs" / "metadata.json").write_text("{}", encoding="utf-8")
    (tmp_path / "lungs" / "docs").mkdir()
    return tmp_path / "lungs"


def test_the_training_of_the_bundle_that_one_begins_with_counts(bundle: Path) -> None:
    (bundle / "docs" / "release.json").write_text(json.dumps({"seconds": 1234.5}), encoding="utf-8")
    assert seconds_before(str(bundle)) == 1234.5


def test_nothing_counts_where_no_record_says(bundle: Path) -> None:
    weights = bundle / "model.pt"
    weights.write_bytes(b"weights")
    assert [seconds_before(start) for start in (None, str(weights), str(bundle))] == [0.0, 0.0, 0.0]


NAME = "ct_lung_segmentation"


def scores(dice: float, subjects: int) -> dict[str, Any]:
    return {"lung": {"dice": {"mean": dice, "n": subjects}}}


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """A folder with one bundle; commands are not given, and a recipe scores what it is asked beside."""
    (tmp_path / "bundles" / NAME / "configs").mkdir(parents=True)
    (tmp_path / "bundles" / NAME / "configs" / "metadata.json").write_text("{}", encoding="utf-8")
    (tmp_path / "bundles" / NAME / "docs").mkdir()
    monkeypatch.setattr(steps._Making, "step", lambda self, name, words, new, after=(): None)
    monkeypatch.setattr(steps._Making, "evaluate", lambda self, name, bundle, label, after: scores(0.97, 9))
    monkeypatch.setattr(steps._Making, "recipe", lambda self, name: {"name": name, "beside": str(self.trained)})
    monkeypatch.setattr(steps._Making, "make_lists", lambda self: None)
    bundles = (tmp_path / "bundles").resolve()
    return Setting(tmp_path, tmp_path / "out", None, (), False, bundles=bundles)


def test_a_recipe_is_added_to_the_record_of_the_bundle_that_is_there(released: Setting) -> None:
    assert released.bundles is not None
    path = released.bundles / NAME / "docs" / "release.json"
    before = {"seconds": 5.0, "scores": {"ct_lungs_all": scores(0.9704, 9)}}
    path.write_text(json.dumps({**before, "recipe": {"name": "a former one"}}), encoding="utf-8")
    beside(RELEASES[NAME], released, lambda line: None)
    recipe = {"name": "kaggle_ct", "beside": str(released.bundles / NAME)}
    assert json.loads(path.read_text(encoding="utf-8")) == {**before, "recipe": recipe}


@pytest.mark.parametrize("recorded", [scores(0.97, 8), scores(0.96, 9)])
def test_lists_of_other_cases_are_refused(recorded: dict[str, Any], released: Setting) -> None:
    assert released.bundles is not None
    path = released.bundles / NAME / "docs" / "release.json"
    path.write_text(json.dumps({"seconds": 5.0, "scores": {"ct_lungs_all": recorded}}), encoding="utf-8")
    with pytest.raises(InvalidBundle, match="of other cases than those that it was released with"):
        beside(RELEASES[NAME], released, lambda line: None)


def test_a_bundle_that_is_not_released_has_no_record_to_add_to(released: Setting) -> None:
    with pytest.raises(InvalidBundle, match=r"release\.json is not there: without --recipes-alone"):
        beside(RELEASES[NAME], released, lambda line: None)
