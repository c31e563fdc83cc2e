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
from pipeline.digests import file_sha256
from pipeline.errors import InvalidBundle, InvalidOption
from pipeline.tracking import Record


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


FUNDUS = "fundus_disc_cup_segmentation"


def test_the_recipes_run_and_the_joined_classes_are_packed_beside_the_bundle(
    released: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert released.bundles is not None
    docs = released.bundles / FUNDUS / "docs"
    docs.mkdir(parents=True)
    (released.bundles / FUNDUS / "configs").mkdir()
    (released.bundles / FUNDUS / "configs" / "metadata.json").write_text("{}", encoding="utf-8")
    weights = released.out / "trained" / f"{FUNDUS}_drishti" / "models" / "model.pt"
    given: list[list[str]] = []

    def step(self: Any, name: str, words: list[Any], new: Path | None, after: list[str]) -> None:
        given.append([str(word) for word in words])
        if words[:2] == ["audit", "export"]:
            words[-1].write_bytes(b"pack")

    def unite(self: Any, name: str, union: str, bundle: Path, label: str, after: list[str]) -> dict[str, Any]:
        self.joined.append(Path(f"{bundle.name}_{name}"))
        return scores(0.95, 5)

    def recipe(self: Any, name: str) -> dict[str, Any]:
        weights.parent.mkdir(parents=True)
        weights.write_bytes(b"weights")
        return {"name": name}

    monkeypatch.setattr(steps._Making, "step", step)
    monkeypatch.setattr(steps._Making, "unite", unite)
    monkeypatch.setattr(steps._Making, "recipe", recipe)
    monkeypatch.setattr(steps._Making, "evaluation_of", lambda self, weights: "feed")
    monkeypatch.setattr(
        "benchmarks.release.finishing.pack_united",
        lambda folders, out: out.write_text(" ".join(folder.name for folder in folders), encoding="utf-8"),
    )
    recorded = {"fundus_disc_cup": scores(0.97, 9)}
    recorded |= {f"{data}, disc=disc_rim,cup": scores(0.95, 5) for data in ("fundus_disc_cup", "fundus_disc")}
    (docs / "release.json").write_text(json.dumps({"seconds": 5.0, "scores": recorded}), encoding="utf-8")
    beside(RELEASES[FUNDUS], released, lambda line: None)
    export, verified = given[-2:]
    assert export[:5] == ["audit", "export", "feed", "--no-weights", "--no-pictures"]
    assert verified[:2] == ["audit", "verify"]
    assert verified[-2:] == ["--checkpoint", str(weights)]
    assert (docs / "recipe.zip").read_bytes() == b"pack"
    assert (docs / "united.zip").read_text() == f"{FUNDUS}_fundus_disc_cup {FUNDUS}_fundus_disc"


def test_the_evaluation_of_a_recipe_is_found_by_its_weights(tmp_path: Path) -> None:
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    making = steps._Making(RELEASES[NAME], Setting(tmp_path, tmp_path, None, (), False), lambda line: None)
    tags = {"planar.kind": "evaluation", "planar.model_sha256": file_sha256(weights)}
    made = [Record.begin(making.store, "x", tags=one) for one in (tags, {**tags, "planar.model_sha256": "other"})]
    for run in made:
        run.end("FINISHED")
    assert making.evaluation_of(weights) == made[0].run_id
    weights.write_bytes(b"of nobody")
    with pytest.raises(InvalidOption, match="has no evaluation of"):
        making.evaluation_of(weights)


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
