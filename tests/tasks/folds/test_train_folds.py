"""A cross-validation from its beginning, through Ctrl-C, to its table."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from mlflow import MlflowClient

from pipeline.errors import InvalidOption, OutputExists
from pipeline.metrics import read_evaluation
from pipeline.tasks.audit.export import export_run
from pipeline.tasks.audit.opening import open_run
from pipeline.tasks.folds import read_state, train_folds
from pipeline.tasks.folds.preparing import lay_out
from pipeline.tasks.folds.table import out_of_fold_rule


@pytest.mark.slow
def test_ctrl_c_ends_the_fold_and_the_run_over_it_as_killed(cross_validation: Any) -> None:
    assert cross_validation.stopped == {
        "cxr_lung_segmentation 2 folds": "KILLED",
        "cxr_lung_segmentation fold 0": "FINISHED",
        "cxr_lung_segmentation fold 1": "KILLED",
    }


@pytest.mark.slow
def test_a_finished_fold_is_kept_and_a_begun_one_goes_on_from_its_checkpoint(cross_validation: Any) -> None:
    models = cross_validation.folder / "fold0" / "models"
    assert {path.name: path.read_bytes() for path in models.iterdir()} == cross_validation.kept
    assert cross_validation.told == [0, 1]
    states = cross_validation.result.states
    assert [state.epochs for state in states] == [2, 2]
    last = torch.load(cross_validation.folder / "fold1" / "models" / "last.pt", weights_only=True)
    assert last["trainer"]["iteration"] == 2 * last["trainer"]["epoch_length"]
    config = yaml.safe_load((cross_validation.folder / "fold1" / "configs" / "train.yaml").read_text())
    assert config["image_size"] == [64, 64]


@pytest.mark.slow
def test_all_runs_are_nested_in_one_and_end_rightly(cross_validation: Any) -> None:
    client = MlflowClient(cross_validation.store)
    (experiment,) = client.search_experiments(filter_string="name = 'cxr_lung_segmentation'")
    parent = client.get_run(cross_validation.result.run_id)
    children = client.search_runs(
        [experiment.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'", order_by=["start_time ASC"]
    )
    assert parent.info.status == "FINISHED"
    # The second run of fold 1 was left open, as kill -9 leaves it.
    assert [(run.data.tags["planar.fold"], run.info.status) for run in children] == [
        ("0", "FINISHED"),
        ("1", "KILLED"),
        ("1", "FINISHED"),
    ]
    scores = [state.out_of_fold["lung"] for state in cross_validation.result.states]
    metrics = parent.data.metrics
    assert metrics["out_of_fold_dice_lung_mean_of_folds"] == pytest.approx(sum(scores) / 2)
    assert metrics["out_of_fold_dice_lung_sd_of_folds"] == pytest.approx(abs(scores[0] - scores[1]) / 2**0.5)
    steps = client.get_metric_history(parent.info.run_id, "fold_out_of_fold_dice_lung")
    assert {point.step: point.value for point in steps} == pytest.approx(dict(enumerate(scores)))
    assert {item.path for item in client.list_artifacts(parent.info.run_id)} >= {"config", "data", "tables"}


@pytest.mark.slow
def test_the_pack_of_a_cross_validation_has_its_folds(cross_validation: Any, tmp_path: Path) -> None:
    parent = cross_validation.result.run_id
    packed = export_run(parent, tmp_path / "pack.zip", store=cross_validation.store)
    assert [kind for kind, _ in packed.runs] == ["cross-validation", "training", "training", "training"]
    opened = open_run(str(packed.pack), tmp_path / "opened")
    assert [(one.tags["planar.fold"], one.status) for one in opened.children(parent)] == [
        ("0", "FINISHED"),
        ("1", "KILLED"),
        ("1", "FINISHED"),
    ]


@pytest.mark.slow
def test_each_training_case_is_in_the_table_once_scored_by_the_network_that_is_new_to_it(
    cross_validation: Any, phantom_datalist: Path
) -> None:
    content = json.loads(phantom_datalist.read_text())
    expected = {item["image_sha256"] for part in ("training", "validation") for item in content[part]}
    table = read_evaluation(cross_validation.folder)
    assert sorted(table.cases["image_sha256"]) == sorted(expected)
    for fold in range(2):
        own = json.loads((cross_validation.folder / f"fold{fold}.json").read_text())
        scored = set(table.cases.loc[table.cases["fold"] == fold, "image_sha256"])
        assert scored == {item["image_sha256"] for item in own["validation"]}
        assert not scored & {item["image_sha256"] for item in own["training"]}
    assert not {item["image_sha256"] for item in content["test"]} & expected
    for image, mask in zip(table.cases["image"], table.cases["mask"], strict=True):
        assert (cross_validation.folder / image).is_file()
        assert (cross_validation.folder / mask).is_file()


@pytest.mark.slow
def test_the_figures_are_those_of_all_cases_together(cross_validation: Any) -> None:
    table = read_evaluation(cross_validation.folder)
    folds = [read_evaluation(cross_validation.folder / f"fold{fold}" / "eval") for fold in range(2)]
    summary = cross_validation.result.table.summary
    assert table.record["summary"] == summary
    assert summary["lung"]["per_image"]["dice"]["mean"] == pytest.approx(table.cases["dice"].mean(), abs=1e-6)
    pd.testing.assert_frame_equal(table.confusion, folds[0].confusion + folds[1].confusion)
    pixels = sum(fold.calibration["pixels"] for fold in folds)
    assert table.calibration["pixels"].tolist() == pixels.tolist()
    bins = [fold.calibration for fold in folds]
    right = sum((part["pixels"] * part["accuracy"].fillna(0)).sum() for part in bins)
    assert (table.calibration["pixels"] * table.calibration["accuracy"].fillna(0)).sum() == pytest.approx(
        right, rel=1e-6
    )
    assert table.record["rules"]["out_of_fold"] == out_of_fold_rule(last=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"overrides": ["max_epochs=3"]}, "begun with the setting max_epochs 2, now 3"),
        ({"overrides": ["batch_size=3"]}, "begun with the setting batch_size 4, now 3"),
        ({"folds": 3}, "has 2 folds, not 3"),
        ({"only": 2}, "There is no fold 2: of 2 folds the numbers are 0 to 1"),
        ({"out": Path("elsewhere")}, "leave out -o"),
    ],
)
def test_a_cross_validation_goes_on_only_as_it_was_begun(cross_validation: Any, arguments: dict, says: str) -> None:
    with pytest.raises(InvalidOption, match=says):
        train_folds(str(cross_validation.folder), None, resume=True, tracking=False, **arguments)


@pytest.mark.slow
def test_a_changed_datalist_is_refused_and_the_same_one_is_not(cross_validation: Any, phantom_datalist: Path) -> None:
    content = json.loads(phantom_datalist.read_text())
    content["training"][0]["label_sha256"] = "0" * 64
    changed = phantom_datalist.with_name("changed.json")
    changed.write_text(json.dumps(content))
    with pytest.raises(InvalidOption, match="begun with cases of the digest"):
        train_folds(str(cross_validation.folder), changed, resume=True, tracking=False)
    # Nothing is left to do, and nothing is done again.
    before = (cross_validation.folder / "fold1" / "models" / "last.pt").stat().st_mtime_ns
    again = train_folds(str(cross_validation.folder), phantom_datalist, resume=True, tracking=False)
    assert again.table == cross_validation.result.table
    assert (cross_validation.folder / "fold1" / "models" / "last.pt").stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_folder_with_a_cross_validation_is_not_begun_again(cross_validation: Any, phantom_datalist: Path) -> None:
    settings = cross_validation.settings
    arguments = ("cxr_lung_segmentation", phantom_datalist, cross_validation.folder, settings)
    with pytest.raises(OutputExists, match=r"or go on with: planar train --resume"):
        train_folds(*arguments, folds=2, tracking=False)
    # One fold of the same cross-validation may be asked for by another process: this one is done.
    result = train_folds(*arguments, folds=2, only=1, tracking=False)
    assert [state.fold for state in result.states] == [0, 1]
    with pytest.raises(InvalidOption, match="max_epochs 2, now 5"):
        train_folds(*arguments[:3], (*settings, "max_epochs=5"), folds=2, only=1, tracking=False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"folds": 1}, "needs 2 folds or more"),
        ({"folds": 2, "overrides": ["max_epochs=0"]}, "max_epochs is a whole number from 1"),
        ({"folds": 2, "only": 2}, "There is no fold 2"),
        ({"folds": None}, "needs a datalist"),
        ({"folds": 2, "overrides": ["max_epoch=1"]}, "Did you mean 'max_epochs'"),
    ],
)
def test_wrong_folds_are_told_before_anything_is_written(
    arguments: dict, says: str, phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidOption, match=says):
        train_folds("cxr_lung_segmentation", phantom_datalist, tmp_path / "cv", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_laid_out_whole_with_the_settings_in_its_bundle(phantom_datalist: Path, tmp_path: Path) -> None:
    from pipeline.bundle import find_bundle

    source = find_bundle("cxr_lung_segmentation")
    record, notes = lay_out(source, phantom_datalist, 3, tmp_path / "cv", {"image_size": [64, 64]}, shared=False)
    names = {path.name for path in (tmp_path / "cv").iterdir()}
    assert names == {"bundle", "datalist.json", "folds.json", "fold0.json", "fold1.json", "fold2.json"}
    assert any("divided into 3 folds" in note for note in notes)
    for kind in ("train", "evaluate", "inference"):
        config = yaml.safe_load((tmp_path / "cv" / "bundle" / "configs" / f"{kind}.yaml").read_text())
        assert config["image_size"] == [64, 64]
    assert read_state(record, 0) is None
    same, _ = lay_out(source, phantom_datalist, 3, tmp_path / "cv", {"image_size": [64, 64]}, shared=True)
    assert same == record
    assert not list(tmp_path.glob(".part-*"))


def test_an_empty_folder_is_filled(phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.bundle import find_bundle

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    lay_out(find_bundle("cxr_lung_segmentation"), phantom_datalist, 2, Path(), {}, shared=False)
    assert Path("folds.json").is_file()
    assert Path("bundle/configs/train.yaml").is_file()
    assert not list(tmp_path.glob(".part-*"))
