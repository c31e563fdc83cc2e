"""Training, resuming and scoring on a few small phantom films."""

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from ignite.engine import Engine, Events
from mlflow import MlflowClient

from pipeline.bundle import Bundle, single_network
from pipeline.digests import file_sha256
from pipeline.errors import (
    InvalidBundle,
    InvalidDatalist,
    InvalidOption,
    MissingFile,
    NoMemory,
    NoRoom,
    OutputExists,
    PlanarError,
    user_error_within,
)
from pipeline.tasks.audit.export import export_run
from pipeline.tasks.evaluate import compare_classes, evaluate
from pipeline.tasks.folds import train_folds
from pipeline.tasks.lock import is_held
from pipeline.tasks.resuming import training_in
from pipeline.tasks.train import TrainingResult, train
from pipeline.terminations import Terminated

SMALL = ("max_epochs=2", "val_interval=1", "image_size=[64, 64]", "num_workers=0", "batch_size=4")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, phantom_datalist: Path) -> tuple[TrainingResult, str]:
    """A bundle trained two epochs, and the store of its run."""
    folder = tmp_path_factory.mktemp("trained")
    store = f"sqlite:///{folder / 'mlruns.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store)
        patch.chdir(folder)
        return train("cxr_lung_segmentation", phantom_datalist, folder / "bundle", SMALL), store


@pytest.mark.slow
def test_a_training_leaves_a_whole_bundle_with_plain_weights(trained: tuple[TrainingResult, str]) -> None:
    result, _ = trained
    root = result.bundle.root
    assert result.epochs == 2
    assert 0 < result.best_metric <= 1
    state = torch.load(root / "models" / "model.pt", weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    assert {"network", "averaged", "optimizer", "lr_scheduler", "trainer", "best"} == set(
        torch.load(root / "models" / "last.pt", weights_only=True)
    )
    for name in ("train.yaml", "evaluate.yaml", "inference.yaml", "metadata.json", "tracking.json"):
        assert (root / "configs" / name).is_file()
    assert not list(root.rglob(".part-*"))


@pytest.mark.slow
def test_the_shipped_bundle_stays_as_it_is(trained: tuple[TrainingResult, str]) -> None:
    from pipeline.bundle import find_bundle

    assert find_bundle("cxr_lung_segmentation").root != trained[0].bundle.root


@pytest.mark.slow
def test_a_training_is_an_mlflow_run_with_metrics_by_epoch_and_class(trained: tuple[TrainingResult, str]) -> None:
    result, store = trained
    client = MlflowClient(store)
    run = client.get_run(result.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["max_epochs"] == "2"
    for name in ("train_loss", "val_mean_dice", "val_mean_dice_lung", "val_mean_iou_lung", "learning_rate"):
        assert [metric.step for metric in client.get_metric_history(result.run_id, name)] == [1, 2], name
    artifacts = {
        item.path
        for folder in client.list_artifacts(result.run_id)
        for item in client.list_artifacts(result.run_id, folder.path)
    }
    assert {"checkpoints/model.pt", "data/datalist.json", "data/merkle.json", "code/requirements.txt"} <= artifacts
    said = json.loads((result.bundle.root / "models" / "record.json").read_text())
    assert (said["run_id"], said["step"]) == (result.run_id, result.best_epoch)
    assert run.data.tags["planar.model_sha256"] == said["model_sha256"]
    assert any(path.startswith("config/config_") for path in artifacts)


@pytest.mark.slow
def test_a_resumed_training_goes_on_where_it_ended(
    trained: tuple[TrainingResult, str], phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(trained[0].bundle.root, copy)
    before = torch.load(copy / "models" / "last.pt", weights_only=True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained[1])
    result = train(str(copy), phantom_datalist, overrides=(*SMALL[1:], "max_epochs=3"), resume=True)
    after = torch.load(copy / "models" / "last.pt", weights_only=True)
    assert (before["trainer"]["iteration"], after["trainer"]["iteration"]) == (
        2 * before["trainer"]["epoch_length"],
        3 * before["trainer"]["epoch_length"],
    )
    assert (result.epochs, result.epochs_before) == (3, 2)
    assert result.best_metric >= before["best"]["best_metric"]
    # A run of its own, which says which one it resumes.
    assert result.run_id != trained[0].run_id
    tags = MlflowClient(trained[1]).get_run(result.run_id).data.tags
    assert (tags["planar.resumes"], tags["planar.resumes_after_epoch"]) == (trained[0].run_id, "2")
    said = json.loads((copy / "models" / "record.json").read_text())
    assert (said["run_id"], said["resumes"]) == (result.run_id, trained[0].run_id)
    packed = export_run(str(result.run_id), tmp_path / "pack.zip", store=trained[1])
    assert packed.runs == (("training", result.run_id), ("training", trained[0].run_id))
    # The configs go on saying how it was trained.
    assert yaml.safe_load(result.bundle.config("train").read_text())["max_epochs"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [(), ("max_epochs=1",)])
def test_a_training_that_has_had_its_epochs_is_not_resumed(
    trained: tuple[TrainingResult, str], phantom_datalist: Path, epochs: tuple[str, ...]
) -> None:
    before = (trained[0].bundle.root / "models" / "last.pt").read_bytes()
    with pytest.raises(InvalidOption, match=r"trained for 2 epochs and max_epochs is [12].*--resume max_epochs=4"):
        train(str(trained[0].bundle.root), phantom_datalist, overrides=epochs, resume=True, tracking=False)
    assert (trained[0].bundle.root / "models" / "last.pt").read_bytes() == before


@pytest.mark.slow
def test_other_cases_or_epochs_of_another_length_are_not_resumed_with(
    trained: tuple[TrainingResult, str], phantom_datalist: Path
) -> None:
    root = trained[0].bundle.root
    before = (root / "models" / "last.pt").read_bytes()
    config = (root / "configs" / "train.yaml").read_text()
    content = json.loads(phantom_datalist.read_text())
    content["validation"].append(content["training"].pop())
    other = phantom_datalist.with_name("other_parts.json")
    other.write_text(json.dumps(content))
    with pytest.raises(InvalidDatalist, match=r"are not those that .* was begun with"):
        train(str(root), other, overrides=("max_epochs=3",), resume=True, tracking=False)
    # A bundle that does not say what it was begun with may have been begun with other cases.
    metadata = root / "configs" / "metadata.json"
    said = metadata.read_text()
    metadata.unlink()
    with pytest.raises(RuntimeError) as caught:  # MONAI wraps what is raised while it runs
        train(str(root), phantom_datalist, overrides=("max_epochs=3", "batch_size=1"), resume=True, tracking=False)
    metadata.write_text(said)
    told = user_error_within(caught.value)
    assert isinstance(told, InvalidOption)
    assert re.search(r"epochs have \d batches, those of this datalist and batch_size have \d+", str(told))
    assert (root / "models" / "last.pt").read_bytes() == before
    assert (root / "configs" / "train.yaml").read_text() == config


@pytest.mark.slow
def test_another_batch_size_is_resumed_with_on_the_same_cases(
    trained: tuple[TrainingResult, str], phantom_datalist: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained[0].bundle.root, copy)
    before = torch.load(copy / "models" / "last.pt", weights_only=True)["trainer"]
    smaller = ("max_epochs=3", "batch_size=2")
    result = train(str(copy), phantom_datalist, overrides=smaller, resume=True, tracking=False)
    after = torch.load(copy / "models" / "last.pt", weights_only=True)["trainer"]
    assert after["epoch_length"] > before["epoch_length"]
    assert after["iteration"] == 3 * after["epoch_length"]
    assert result.epochs == 3
    assert len((copy / "models" / "history.csv").read_text().splitlines()) == 1 + 3
    assert yaml.safe_load(result.bundle.config("train").read_text())["batch_size"] == 2


@pytest.mark.slow
def test_a_checkpoint_of_another_network_is_told_and_leaves_the_configs_as_they_are(
    trained: tuple[TrainingResult, str], phantom_datalist: Path
) -> None:
    config = trained[0].bundle.config("train")
    before = config.read_text()
    settings = ("max_epochs=3", "network_def#channels=[8, 16, 32, 64, 64, 64]")
    with pytest.raises(InvalidBundle, match=r"last\.pt: does not load into the network of .*train\.yaml"):
        train(str(trained[0].bundle.root), phantom_datalist, overrides=settings, resume=True, tracking=False)
    assert config.read_text() == before


@pytest.mark.slow
def test_an_evaluation_of_what_is_no_weights_says_so(
    trained: tuple[TrainingResult, str], phantom_datalist: Path, tmp_path: Path
) -> None:
    root = trained[0].bundle.root
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("weights")
    for path, error, says in (
        (root / "models" / "last.pt", InvalidOption, r"last\.pt: holds more than weights.*Give model\.pt"),
        (tmp_path / "text.pt", InvalidBundle, r"text\.pt: no weights of a network: it is no file of PyTorch"),
        (tmp_path / "other.pt", InvalidBundle, r"other\.pt: does not load into the network"),
    ):
        with pytest.raises(error, match=says):
            evaluate(str(root), phantom_datalist, out=tmp_path / "out", checkpoint=path, tracking=False)
    assert not (tmp_path / "out" / "metrics.json").exists()


@pytest.mark.slow
def test_an_evaluation_scores_each_case_and_agrees_with_the_stock_command(
    trained: tuple[TrainingResult, str], phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = trained[0].bundle.root
    torch.set_num_threads(1)  # the training that comes before may have set its own
    result = evaluate(str(root), phantom_datalist, "test", tmp_path / "ours", ("image_size=[64, 64]",), tracking=False)
    cases = pd.read_csv(tmp_path / "ours" / "cases.csv")
    expected = json.loads(phantom_datalist.read_text())["test"]
    assert len(cases) == result.cases == len(expected)
    assert set(cases["subject"]) == {item["subject"] for item in expected}
    assert result.summary["lung"]["per_image"]["dice"]["mean"] == pytest.approx(cases["dice"].mean(), abs=1e-6)
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(root / "configs" / "evaluate.yaml")]
    command += [
        "--bundle_root",
        str(root),
        "--datalist",
        str(phantom_datalist),
        "--output_dir",
        str(tmp_path / "stock"),
    ]
    # As many threads as the tests have: sums over pixels are rounded by how they are shared out.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--image_size", "[64, 64]"], check=True, capture_output=True, env=environment)
    stock = pd.read_csv(tmp_path / "stock" / "cases.csv")
    pd.testing.assert_frame_equal(cases.drop(columns="image"), stock.drop(columns="image"), atol=1e-5)


@pytest.mark.slow
def test_a_training_that_fails_is_recorded_as_failed_with_its_traceback(
    phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ignite.engine import Events

    class Trap:
        def attach(self, engine: object) -> None:
            engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), self.spring)

        def spring(self, engine: object) -> None:
            raise ZeroDivisionError("the trap")

    store = f"sqlite:///{tmp_path / 'mlruns.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError):
        train("cxr_lung_segmentation", phantom_datalist, tmp_path / "b", SMALL, handlers=[Trap()])
    # There is nothing to resume, and the command may be given again.
    assert not (tmp_path / "b").exists()
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("cxr_lung_segmentation")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"
    text = Path(client.download_artifacts(run.info.run_id, "traceback.txt")).read_text()
    assert "ZeroDivisionError: the trap" in text


@pytest.mark.slow
def test_the_copy_describes_the_classes_it_is_trained_on(
    phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = json.loads(phantom_datalist.read_text())
    content["labels"] = {"0": "background", "1": "lung fields"}
    other = phantom_datalist.with_name("renamed.json")
    other.write_text(json.dumps(content))
    result = train("cxr_lung_segmentation", other, tmp_path / "b", (*SMALL, "max_epochs=1"), tracking=False)
    assert result.bundle.labels("inference") == {0: "background", 1: "lung fields"}
    assert yaml.safe_load(result.bundle.config("train").read_text())["labels"][1] == "lung fields"
    metadata = json.loads(result.bundle.metadata.read_text())
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"]["1"] == "lung fields"
    assert result.notes


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"overrides": ("max_epoch=3",)}, InvalidOption, "Did you mean 'max_epochs'"),
        ({"overrides": ("max_epochs",)}, InvalidOption, "expected key=value"),
        ({"datalist": "none.json"}, MissingFile, "none.json"),
        ({"bundle": "cxr_lungs"}, PlanarError, "cxr_lung_segmentation"),
        ({"resume": True}, MissingFile, "last.pt"),
        ({"overrides": ("datalist=other.json",)}, InvalidOption, "'datalist' is set by --data"),
        ({"overrides": ("resume=true",)}, InvalidOption, "'resume' is set by --resume"),
        ({"overrides": ("bundle_root=elsewhere",)}, InvalidOption, "'bundle_root' is set by the argument BUNDLE"),
        ({"overrides": ("start_from=a.pt",)}, InvalidOption, "'start_from' is set by --start-from"),
        ({"overrides": ("batch_size=0",)}, InvalidOption, "batch_size is a whole number from 1"),
        ({"overrides": ("image_size=64",)}, InvalidOption, "image_size is a list of 2 numbers"),
        ({"overrides": ("device=gpu",)}, InvalidOption, "device=gpu is no device that PyTorch knows"),
        ({"start_from": "no_such_bundle"}, InvalidOption, "--start-from: .*no_such_bundle"),
    ],
)
def test_wrong_input_is_told_before_anything_is_written(
    arguments: dict, error: type, says: str, phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    datalist = Path(arguments.get("datalist", phantom_datalist))
    with pytest.raises(error, match=says):
        train(
            arguments.get("bundle", "cxr_lung_segmentation"),
            datalist,
            overrides=arguments.get("overrides", ()),
            resume=arguments.get("resume", False),
            start_from=arguments.get("start_from"),
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_training_begins_with_anothers_weights(
    trained: tuple[TrainingResult, str], phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlruns.db'}")
    first = trained[0].bundle
    still = (*SMALL[1:], "max_epochs=1", "learning_rate=0.0")

    result = train(str(first.root), phantom_datalist, tmp_path / "bundle", still, start_from=str(first.root))

    assert result.notes == ("Began with the weights of bundle.",)
    before, after = (torch.load(one.weights, weights_only=True) for one in (first, result.bundle))
    assert all(torch.allclose(after[name], value) for name, value in before.items())
    copy = train(str(result.bundle.root), phantom_datalist, tmp_path / "copy", still, tracking=False)
    assert yaml.safe_load(copy.bundle.config("train").read_text())["start_from"] is None
    tags = MlflowClient(f"sqlite:///{tmp_path / 'mlruns.db'}").get_run(str(result.run_id)).data.tags
    assert tags["planar.start_from"] == "bundle"
    assert tags["planar.start_from_sha256"] == file_sha256(first.weights)


def test_a_training_does_not_go_into_a_folder_that_holds_something(phantom_datalist: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputExists, match="exists"):
        train("cxr_lung_segmentation", phantom_datalist, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_an_evaluation_refuses_a_split_without_cases(
    random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path
) -> None:
    content = json.loads(phantom_datalist.read_text()) | {"test": []}
    empty = phantom_datalist.with_name("empty.json")
    empty.write_text(json.dumps(content))
    with pytest.raises(InvalidDatalist, match="test"):
        evaluate(str(random_bundle.root), empty, "test", tmp_path / "out")


def datalist_of(folder: Path, *labels: str) -> Path:
    path = folder / "datalist.json"
    path.write_text(json.dumps({"labels": {str(k): name for k, name in enumerate(labels)}, "test": []}))
    return path


def test_classes_in_another_order_are_refused_before_they_are_scored_as_one_another(tmp_path: Path) -> None:
    bundle, classes = Bundle(tmp_path, "sides"), {0: "background", 1: "right", 2: "left"}
    assert compare_classes(bundle, classes, datalist_of(tmp_path, "background", "right", "left")) == []
    with pytest.raises(InvalidDatalist, match=r"'Left' is class 1, in the bundle sides class 2\. .*right, left"):
        compare_classes(bundle, classes, datalist_of(tmp_path, "background", "Left", "Right"))
    with pytest.raises(InvalidDatalist, match="has the classes background, left; the bundle sides has"):
        compare_classes(bundle, classes, datalist_of(tmp_path, "background", "left"))


@pytest.mark.parametrize(
    ("first", "second"), [("right lung", "left lung"), ("LungRight", "LungLeft"), ("lung_r", "lung_l")]
)
def test_classes_in_another_order_and_another_spelling_are_refused_and_in_the_same_order_not_told(
    tmp_path: Path, first: str, second: str
) -> None:
    bundle, classes = Bundle(tmp_path, "sides"), {0: "background", 1: "left_lung", 2: "right_lung"}
    with pytest.raises(InvalidDatalist, match=f"'{first}' is class 1, in the bundle sides class 2"):
        compare_classes(bundle, classes, datalist_of(tmp_path, "background", first, second))
    assert compare_classes(bundle, classes, datalist_of(tmp_path, "background", second, first)) == []


def test_classes_that_differ_in_signs_alone_are_told_apart(tmp_path: Path) -> None:
    bundle, classes = Bundle(tmp_path, "cells"), {0: "background", 1: "CD3+", 2: "CD3-"}
    assert compare_classes(bundle, classes, datalist_of(tmp_path, "background", "CD3+", "CD3-")) == []
    with pytest.raises(InvalidDatalist, match="'CD3-' is class 1, in the bundle cells class 2"):
        compare_classes(bundle, classes, datalist_of(tmp_path, "background", "CD3-", "CD3+"))


def test_other_names_for_the_classes_are_told(tmp_path: Path) -> None:
    told = compare_classes(
        Bundle(tmp_path, "b"), {0: "background", 1: "lung"}, datalist_of(tmp_path, "empty", "lung_field")
    )
    assert told == ["The datalist's 'lung_field' is taken for the bundle's 'lung'."]


def test_a_training_stopped_before_its_first_checkpoint_takes_away_what_it_brought_and_no_more(
    phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        Path("mlruns.db").touch()  # in the working folder, which here is the bundle's too
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.tasks.train.open_workflow", stopped)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(KeyboardInterrupt):
        train("cxr_lung_segmentation", phantom_datalist, Path())
    assert [path.name for path in Path().iterdir()] == ["mlruns.db"]
    with pytest.raises(KeyboardInterrupt):
        train("cxr_lung_segmentation", phantom_datalist, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Terminated])
def test_what_stops_a_training_says_how_it_goes_on(
    phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    def stopped(bundle: Bundle, *_: object, **__: object) -> None:
        (bundle.root / "models" / "last.pt").touch()
        raise stop

    monkeypatch.setattr("pipeline.tasks.train.open_workflow", stopped)
    with pytest.raises(stop) as told:
        train("cxr_lung_segmentation", phantom_datalist, tmp_path / "t")
    assert told.value.__notes__ == [f"Go on with: planar train {tmp_path / 't'} --data {phantom_datalist} --resume"]
    with pytest.raises(stop) as told:
        train_folds("cxr_lung_segmentation", phantom_datalist, tmp_path / "cv", folds=2, tracking=False)
    assert told.value.__notes__ == [f"Go on with: planar train --resume {tmp_path / 'cv'}"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="process groups are signalled otherwise on Windows")
def test_ctrl_c_ends_a_training_with_130_a_killed_run_and_no_process_left(
    phantom_datalist: Path, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlruns.db'}"
    code = "import sys; from pipeline.cli import main; main(sys.argv[1:])"
    settings = ["max_epochs=500", "val_interval=1", "image_size=[64, 64]", "num_workers=1", "batch_size=4"]
    command = ["train", "cxr_lung_segmentation", "--data", str(phantom_datalist), "-o", "bundle", *settings]
    # Its own group, as a shell starts it: Ctrl-C goes to the loader's processes too.
    process = subprocess.Popen(
        [sys.executable, "-c", code, *command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "MLFLOW_TRACKING_URI": store},
    )
    try:
        last = tmp_path / "bundle" / "models" / "last.pt"
        until = time.monotonic() + 120
        while not last.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=60)
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, error
    assert "Stopped by Ctrl-C." in error
    assert "Traceback" not in error
    client = MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name("cxr_lung_segmentation").experiment_id])
    assert run.info.status == "KILLED"
    assert not list((tmp_path / "bundle").rglob(".part-*"))


def test_a_bundle_of_an_ensemble_is_trained_as_one_network(random_bundle: Bundle) -> None:
    from pipeline.bundle.editing import rewrite_config

    assert single_network(random_bundle) == {}

    def wrap(config: dict) -> bool:
        config["network_def"] = {
            "_target_": "pipeline.networks.FoldEnsemble",
            "members": 3,
            "network": config["network_def"],
        }
        return True

    for kind in ("evaluate", "inference"):
        rewrite_config(random_bundle.config(kind), wrap)
    single = yaml.safe_load(random_bundle.config("train").read_text())["network_def"]
    assert single_network(random_bundle) == {"network_def": single}


def test_a_training_that_runs_is_neither_resumed_nor_offered_for_it(
    random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path
) -> None:
    (random_bundle.root / "models" / "last.pt").write_bytes(b"of an epoch")
    with training_in(random_bundle):
        with pytest.raises(InvalidOption, match=r"is being trained by another process\. Wait for it"):
            train(str(random_bundle.root), phantom_datalist, resume=True, tracking=False)
        with pytest.raises(OutputExists, match="is being trained now, by another process") as caught:
            train("cxr_lung_segmentation", phantom_datalist, random_bundle.root, tracking=False)
        assert "--resume" not in str(caught.value)
    with pytest.raises(OutputExists, match=r"holds a training\. Go on with it .*--resume"):
        train("cxr_lung_segmentation", phantom_datalist, random_bundle.root, tracking=False)


@pytest.mark.slow
def test_a_training_holds_its_folder_while_it_runs_and_no_longer(phantom_datalist: Path, tmp_path: Path) -> None:
    held: list[bool] = []

    class Look:
        def attach(self, engine: Engine) -> None:
            engine.add_event_handler(Events.EPOCH_COMPLETED, lambda _: held.append(is_held(tmp_path / "b" / "models")))

    small = ("max_epochs=1", *SMALL[1:])
    result = train("cxr_lung_segmentation", phantom_datalist, tmp_path / "b", small, tracking=False, handlers=[Look()])
    assert held == [True]
    assert not is_held(result.bundle.root / "models")


def test_a_training_whose_start_weights_do_not_fit_takes_its_folder_away(
    random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path
) -> None:
    other = ("network_def#channels=[4,8,16,32,40,48]", *SMALL)
    weights = re.escape(str(random_bundle.weights))
    with pytest.raises(InvalidBundle, match=f"^{weights}: weights of another network"):
        train(
            str(random_bundle.root),
            phantom_datalist,
            tmp_path / "new",
            other,
            start_from=str(random_bundle.root),
            tracking=False,
        )
    assert not (tmp_path / "new").exists()


def test_a_training_shorter_than_the_interval_of_its_validations_is_validated_at_its_end(
    phantom_datalist: Path, tmp_path: Path
) -> None:
    short = (*SMALL, "max_epochs=1", "val_interval=3")
    result = train("cxr_lung_segmentation", phantom_datalist, tmp_path / "new", short, tracking=False)
    assert (result.epochs, result.best_epoch) == (1, 1)
    assert (tmp_path / "new" / "models" / "model.pt").is_file()


def ended_by(error: BaseException, *written: str) -> Callable[..., None]:
    """A training that writes some files into its folder and ends with an error, in MONAI's wrapping."""

    def end(bundle: Bundle, *_: object, **__: object) -> None:
        for name in written:
            (bundle.root / "models" / name).touch()
        raise RuntimeError("Failed to evaluate '$@train#trainer.run()'") from error

    return end


@pytest.mark.parametrize(
    ("size", "written", "says"),
    [
        (8, (), r"The GPU's memory is full at batch_size=8\. Give the command again with batch_size=4\.$"),
        (8, ("last.pt",), r"full at batch_size=8\. Go on with: planar train .*new --data .* --resume batch_size=4$"),
        (1, (), r"full at batch_size=1\. Give a smaller image_size, or end what else uses the GPU\. Give the command"),
        (1, ("last.pt",), r"full at batch_size=1\. .* Go on with: planar train .*new --data .*json --resume$"),
        ("$2 * 2", (), r"The GPU's memory is full\. Give a smaller batch_size, or end what else uses the GPU\. Give"),
    ],
)
def test_a_gpu_without_memory_left_is_told_with_the_way_on(
    size: int | str,
    written: tuple[str, ...],
    says: str,
    phantom_datalist: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
    monkeypatch.setattr("pipeline.tasks.train.open_workflow", ended_by(full, *written))
    with pytest.raises(NoMemory, match=says):
        train("cxr_lung_segmentation", phantom_datalist, tmp_path / "new", (f"batch_size={size}",))
    assert (tmp_path / "new").exists() == bool(written)


def test_a_full_gpu_that_the_driver_tells_of_is_told_alike(
    phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.tasks.train.open_workflow", ended_by(RuntimeError("CUDA error: out of memory")))
    with pytest.raises(NoMemory, match=r"The GPU's memory is full at batch_size=8"):
        train("cxr_lung_segmentation", phantom_datalist, tmp_path / "new", ("batch_size=8",))


@pytest.mark.parametrize(
    ("number", "written", "says"),
    [
        (errno.EFBIG, (), r"last\.pt: no more\. Have larger files allowed \(ulimit -f\)\. Give the command again\.$"),
        (
            errno.EDQUOT,
            ("last.pt",),
            r"last\.pt: no more\. Make room, or have the quota raised\. Go on with: .*--resume$",
        ),
        (
            errno.ENOSPC,
            ("model.pt",),
            r"last\.pt: no more\. Make room\. Give the command again and another folder \(-o\), or remove .*new before:"
            r" it holds weights \(models/model\.pt\), and no models/last\.pt to go on from\.$",
        ),
    ],
)
def test_a_disk_that_takes_no_more_is_told_with_what_to_do_with_the_folder(
    number: int,
    written: tuple[str, ...],
    says: str,
    phantom_datalist: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = OSError(number, "no more", str(tmp_path / "new" / "models" / "last.pt"))
    monkeypatch.setattr("pipeline.tasks.train.open_workflow", ended_by(full, *written))
    with pytest.raises(NoRoom, match=says):
        train("cxr_lung_segmentation", phantom_datalist, tmp_path / "new")
    if written == ("model.pt",):
        with pytest.raises(
            OutputExists, match=r"new exists\. It holds weights .* no models/last\.pt .* or remove this one"
        ):
            train("cxr_lung_segmentation", phantom_datalist, tmp_path / "new")


def test_other_errors_of_files_and_bugs_stay_what_they_are(
    phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (PermissionError(errno.EACCES, "Permission denied", "a.png"), ValueError("a bug")):
        monkeypatch.setattr("pipeline.tasks.train.open_workflow", ended_by(error))
        with pytest.raises(RuntimeError, match="Failed to evaluate"):
            train("cxr_lung_segmentation", phantom_datalist, tmp_path / "new")
