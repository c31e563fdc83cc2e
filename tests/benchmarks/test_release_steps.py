"""What a release adds up."""

from __future__ import annotations

import json
from pathlib import Path

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


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """A folder with one bundle; commands are not given, and a recipe scores what it is asked beside."""
    (tmp_path / "bundles" / NAME / "configs").mkdir(parents=True)
    (tmp_path / "bundles" / NAME / "configs" / "metadata.json").write_text("{}", encoding="utf-8")
    (tmp_path / "bundles" / NAME / "docs").mkdir()
    monkeypatch.setattr(steps._Making, "step", lambda self, name, words, new, after=(): None)
    monkeypatch.setattr(steps._Making, "evaluate", lambda self, name, bundle, label, after: {})
    monkeypatch.setattr(steps._Making, "recipe", lambda self, name: {"name": name, "beside": str(self.trained)})
    monkeypatch.setattr(steps._Making, "make_lists", lambda self: None)
    bundles = (tmp_path / "bundles").resolve()
    return Setting(tmp_path, tmp_path / "out", None, (), False, bundles=bundles)


def test_a_recipe_is_added_to_the_record_of_the_bundle_that_is_there(released: Setting) -> None:
    assert released.bundles is not None
    path = released.bundles / NAME / "docs" / "release.json"
    path.write_text(json.dumps({"seconds": 5.0, "recipe": {"name": "a former one"}}), encoding="utf-8")
    beside(RELEASES[NAME], released, lambda line: None)
    recipe = {"name": "kaggle_ct", "beside": str(released.bundles / NAME)}
    assert json.loads(path.read_text(encoding="utf-8")) == {"seconds": 5.0, "recipe": recipe}


def test_a_bundle_that_is_not_released_has_no_record_to_add_to(released: Setting) -> None:
    with pytest.raises(InvalidBundle, match=r"release\.json is not there: without --recipes-alone"):
        beside(RELEASES[NAME], released, lambda line: None)
