from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from mlflow import MlflowClient
from mlflow.entities import Run
from monai.engines import SupervisedEvaluator
from tiny_engines import Training

from pipeline import __version__
from pipeline.bundle import find_bundle
from pipeline.checkpoints import Checkpoints
from pipeline.digests import file_sha256
from pipeline.errors import InvalidDatalist, TrackingUnreachable
from pipeline.handlers import Attached
from pipeline.history import History, read_history
from pipeline.tracking import (
    ParentRun,
    RunRecorder,
    ValidationRecorder,
    executed_config,
    read_training_record,
    tracking_uri,
    training_run_of,
    without_password,
)
from pipeline.tracking.words import allowed

LABELS = {0: "background", 1: "disc", 2: "cup (outer)"}


def runs(store: str, experiment: str) -> list[Run]:
    client = MlflowClient(tracking_uri=store)
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else list(client.search_runs([found.experiment_id], order_by=["start_time ASC"]))


def history(store: str, run: Run, metric: str) -> list[tuple[int, float]]:
    points = MlflowClient(tracking_uri=store).get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value) for point in points)


def files(store: str, run: Run, folder: str | None = None) -> set[str]:
    return {item.path for item in MlflowClient(tracking_uri=store).list_artifacts(run.info.run_id, folder)}


def record(recorder: RunRecorder, **options: Any) -> Training:
    """A training whose history is written into the working folder, as a bundle's is beside its weights."""
    history = History(Path.cwd(), labels=recorder.labels)
    return Training(train_handlers=[history, recorder], val_handlers=[ValidationRecorder(recorder)], **options)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# --- a training ---


def test_a_training_is_one_finished_run_with_its_metrics_by_epoch_and_class(store: str, experiment: str) -> None:
    recorder = RunRecorder(
        experiment,
        run_name="first",
        uri=store,
        labels=LABELS,
        params={"seed": 0, "size": [6, 6]},
        tags={"planar.kind": "t"},
    )
    made = record(recorder)
    losses: list[float] = []
    made.trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: losses.append(float(engine.state.output[0]["loss"]))
    )
    made.trainer.run()
    (run,) = runs(store, experiment)
    assert run.info.run_id == recorder.run_id
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "first"
    assert run.data.params == {"seed": "0", "size": "[6, 6]"}
    assert run.data.tags["planar.version"] == __version__
    assert run.data.tags["planar.kind"] == "t"
    assert [step for step, _ in history(store, run, "val_mean_dice")] == [1, 2, 3]
    means = [(losses[2 * n] + losses[2 * n + 1]) / 2 for n in range(3)]
    assert [value for _, value in history(store, run, "train_loss")] == pytest.approx(means)
    assert [value for _, value in history(store, run, "learning_rate")] == pytest.approx([0.1, 0.05, 0.025])
    disc, cup = (history(store, run, f"val_mean_dice_{name}") for name in ("disc", "cup _outer_"))
    mean = history(store, run, "val_mean_dice")
    assert [value for _, value in mean] == pytest.approx(
        [(a + b) / 2 for (_, a), (_, b) in zip(disc, cup, strict=True)]
    )
    assert "traceback.txt" not in files(store, run)


def test_mlflow_and_the_history_agree(store: str, experiment: str) -> None:
    recorder = RunRecorder(experiment, uri=store, labels=LABELS)
    record(recorder).trainer.run()
    (run,) = runs(store, experiment)
    rows = read_history(Path.cwd() / "history.csv")
    for name in rows[0].keys() - {"epoch", "seconds"}:
        points = history(store, run, allowed(name))
        assert points == [(row["epoch"], pytest.approx(row[name], rel=1e-5)) for row in rows], name
    assert [step for step, _ in history(store, run, "epoch_seconds")] == [1, 2, 3]


def test_a_second_training_is_a_second_run(store: str, experiment: str) -> None:
    for seed in (1, 2):
        record(RunRecorder(experiment, uri=store, params={"seed": seed}), max_epochs=1).trainer.run()
    found = runs(store, experiment)
    assert [run.data.params["seed"] for run in found] == ["1", "2"]
    assert len({run.info.run_id for run in found}) == 2


def test_an_engine_that_is_run_again_records_again(store: str, experiment: str) -> None:
    recorder = RunRecorder(experiment, uri=store)
    evaluator = Training().validator
    recorder.attach(evaluator)
    evaluator.run()
    evaluator.run()
    assert [run.info.status for run in runs(store, experiment)] == ["FINISHED", "FINISHED"]


def test_a_run_that_was_left_open_is_never_written_into(store: str, experiment: str) -> None:
    recorder = RunRecorder(experiment, uri=store)
    recorder.start(Engine(lambda engine, batch: None))
    first = recorder.run_id
    recorder.start(Engine(lambda engine, batch: None))
    recorder.finish()
    status = {run.info.run_id: run.info.status for run in runs(store, experiment)}
    assert status == {first: "FAILED", recorder.run_id: "FINISHED"}


def test_the_background_is_not_taken_for_the_first_class(store: str, experiment: str) -> None:
    recorder = RunRecorder(experiment, uri=store, labels=LABELS)
    made = record(recorder, max_epochs=1, background=True)
    details: list[list[float]] = []
    made.validator.add_event_handler(
        Events.COMPLETED,
        lambda engine: details.append(engine.state.metric_details["val_mean_dice"].nanmean(dim=0).tolist()),
    )
    made.trainer.run()
    (run,) = runs(store, experiment)
    assert len(details[0]) == 3
    assert history(store, run, "val_mean_dice_disc") == [(1, pytest.approx(details[0][1]))]
    assert history(store, run, "val_mean_dice_cup _outer_") == [(1, pytest.approx(details[0][2]))]


def test_classes_that_do_not_fit_the_labels_are_not_named(store: str, experiment: str) -> None:
    recorder = RunRecorder(experiment, uri=store, labels={**LABELS, 3: "vessel", 4: "nerve"})
    record(recorder, max_epochs=1).trainer.run()
    (run,) = runs(store, experiment)
    assert [name for name in run.data.metrics if name.startswith("val_mean_dice")] == ["val_mean_dice"]


def test_a_trainer_that_does_not_decollate_is_recorded_too(store: str, experiment: str) -> None:
    record(RunRecorder(experiment, uri=store), max_epochs=1, decollate=False).trainer.run()
    (run,) = runs(store, experiment)
    assert "train_loss" in run.data.metrics


def test_numbers_that_are_none_are_recorded_and_told(store: str, experiment: str) -> None:
    record(RunRecorder(experiment, uri=store), scores=[0.5, float("nan"), float("inf")]).trainer.run()
    (run,) = runs(store, experiment)
    points = history(store, run, "val_mean_dice")
    assert [step for step, _ in points] == [1, 2, 3]
    assert points[0][1] == 0.5
    assert math.isnan(points[1][1])
    assert points[2][1] > 1e300
    assert run.data.tags["planar.not_finite"] == "val_mean_dice was nan at step 2"


def test_a_run_of_finite_numbers_says_nothing_of_others(store: str, experiment: str) -> None:
    record(RunRecorder(experiment, uri=store), max_epochs=1).trainer.run()
    (run,) = runs(store, experiment)
    assert "planar.not_finite" not in run.data.tags


def test_only_the_first_process_records(store: str, experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ignite.distributed.get_rank", lambda: 1)
    recorder = RunRecorder(experiment, uri=store)
    record(recorder, max_epochs=1).trainer.run()
    assert recorder.run_id is None
    assert runs(store, experiment) == []


# --- files ---


def test_files_are_logged_at_the_start_and_results_at_the_end(store: str, experiment: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "datalist.json").write_text(json.dumps({"training": [{"image": "a.png", "label": "b.png"}]}))
    recorder = RunRecorder(
        experiment,
        uri=store,
        config=tmp_path / "config.json",
        datalist=tmp_path / "datalist.json",
        results={"checkpoints/best": str(tmp_path / "model.pt"), "checkpoints/last": str(tmp_path / "missing.pt")},
    )
    made = record(recorder, max_epochs=1)
    seen: list[set[str]] = []

    def look(_: Engine) -> None:
        assert recorder.record.flush()
        seen.append(files(store, runs(store, experiment)[0]))

    made.trainer.add_event_handler(Events.EPOCH_STARTED, look)
    made.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda _: (tmp_path / "model.pt").write_bytes(b"weights"))
    made.trainer.run()
    (run,) = runs(store, experiment)
    assert seen == [{"code", "config", "data", "environment.json"}]
    assert files(store, run, "config") == {"config/config.json"}
    assert files(store, run, "data") == {"data/datalist.json", "data/merkle.json"}
    assert files(store, run, "checkpoints") == {"checkpoints/model.pt"}


def test_the_executed_config_is_found_where_monai_has_put_it(tmp_path: Path) -> None:
    name = "config_20260101_120000.json"
    right = str(tmp_path / name)
    assert executed_config(f"{tmp_path} + '/{name}'", tmp_path) == right
    (tmp_path / name).write_text("{}")
    assert executed_config(right, tmp_path / "other") == right
    assert executed_config(None, tmp_path) is None


# --- an evaluation ---


def test_an_evaluation_is_a_run_with_the_metrics_that_other_handlers_add(store: str, experiment: str) -> None:
    evaluator: SupervisedEvaluator = Training().validator
    evaluator.add_event_handler(
        Events.COMPLETED, lambda engine: engine.state.metrics.update(dice_disc=0.75, table=[[1.0, 2.0]])
    )
    RunRecorder(experiment, uri=store, labels=LABELS).attach(evaluator)
    evaluator.run()
    (run,) = runs(store, experiment)
    assert run.info.status == "FINISHED"
    assert history(store, run, "dice_disc") == [(0, 0.75)]
    assert len(history(store, run, "val_mean_dice")) == 1
    assert "table" not in run.data.metrics


# --- how runs end ---


@pytest.mark.parametrize(("status", "error"), [("FAILED", ValueError("film 7")), ("KILLED", KeyboardInterrupt())])
def test_a_run_that_was_stopped_says_so_with_the_traceback(
    store: str, experiment: str, status: str, error: BaseException
) -> None:
    recorder = RunRecorder(experiment, uri=store)
    recorder.start(Engine(lambda engine, batch: None))
    recorder.close(status, error)
    recorder.close("FINISHED")
    recorder.finish()
    (run,) = runs(store, experiment)
    assert run.info.status == status
    assert run.info.end_time is not None
    text = MlflowClient(tracking_uri=store).download_artifacts(run.info.run_id, "traceback.txt")
    assert type(error).__name__ in Path(text).read_text()


def test_a_run_ends_even_if_its_traceback_cannot_be_stored(
    store: str, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = RunRecorder(experiment, uri=store)
    recorder.start(Engine(lambda engine, batch: None))

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.tracking.open_run.PATIENCE_S", 1.0)
    monkeypatch.setattr(MlflowClient, "log_artifact", full)
    recorder.close("FAILED", ValueError("film 7"))
    assert recorder.shortfall is not None
    assert "No space left" in recorder.shortfall
    assert [run.info.status for run in runs(store, experiment)] == ["FAILED"]


def test_a_run_that_nothing_ended_is_ended_with_the_process(store: str, experiment: str) -> None:
    """As under `python -m monai.bundle run`: no code of ours catches the error."""
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from ignite.engine import Engine\nfrom pipeline.tracking import RunRecorder\n"
        f"recorder = RunRecorder({experiment!r}, uri={store!r})\n"
        "engine = Engine(lambda engine, batch: None)\nrecorder.attach(engine)\n"
        "recorder.start(engine)\nraise KeyboardInterrupt\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode != 0
    (run,) = runs(store, experiment)
    assert run.info.status == "KILLED"
    assert "traceback.txt" in files(store, run)


def test_classes_that_mlflow_would_take_for_one_are_refused_before_anything_is_recorded(
    store: str, experiment: str
) -> None:
    recorder = RunRecorder(experiment, uri=store, labels={0: "background", 1: "node <2 cm", 2: "node >2 cm"})
    with pytest.raises(InvalidDatalist, match="'node <2 cm' and 'node >2 cm' are one name for MLflow"):
        recorder.start()
    assert runs(store, experiment) == []


# --- a run over others ---


def test_folds_are_nested_in_a_run_that_ends_with_what_they_came_to(store: str, experiment: str) -> None:
    parent = ParentRun(experiment, uri=store, params={"folds": 2})
    assert parent.open() == parent.run_id
    for fold in range(2):
        child = RunRecorder(experiment, uri=store, tags=parent.child_tags(fold))
        record(child, max_epochs=1).trainer.run()
        parent.note_fold(fold, {"dice": 0.8 + fold / 10}, child.run_id)
    parent.log_metrics({"dice": 0.85}, step=0)
    parent.finish()
    top, *children = runs(store, experiment)
    assert top.info.run_id == parent.run_id
    assert [run.info.status for run in (top, *children)] == ["FINISHED"] * 3
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.run_id}
    assert [run.data.tags["planar.fold"] for run in children] == ["0", "1"]
    assert history(store, top, "fold_dice") == [(0, 0.8), (1, 0.9)]
    assert top.data.metrics["dice"] == 0.85
    assert [run.data.metrics["dice"] for run in children] == [0.8, 0.9]


def test_a_run_over_others_describes_the_dice_of_classes_and_no_deviation(store: str, experiment: str) -> None:
    parent = ParentRun(experiment, uri=store)
    parent.open()
    means = {f"out_of_fold_dice_{name}_{kind}_of_folds": 0.01 for name in ("disc", "cup") for kind in ("mean", "sd")}
    parent.log_metrics(means, step=0)
    parent.log_metrics({"out_of_fold_dice_disc": 0.95, "out_of_fold_dice_cup": 0.85}, step=0)
    parent.finish()
    (run,) = runs(store, experiment)
    assert "Dice: disc **0.9500**, cup **0.8500**." in run.data.tags["mlflow.note.content"]


def test_a_run_over_others_goes_on_in_another_process(store: str, experiment: str) -> None:
    first = ParentRun(experiment, uri=store)
    first.open()
    first.pause()
    assert [run.info.status for run in runs(store, experiment)] == ["SCHEDULED"]
    second = ParentRun(experiment, uri=store)
    assert second.open(first.run_id) == first.run_id
    assert [run.info.status for run in runs(store, experiment)] == ["RUNNING"]
    second.close("KILLED", KeyboardInterrupt())
    assert [run.info.status for run in runs(store, experiment)] == ["KILLED"]
    assert "planar.not_finite" not in runs(store, experiment)[0].data.tags


def test_a_run_that_the_store_does_not_have_is_begun_anew(store: str, experiment: str) -> None:
    parent = ParentRun(experiment, uri=store)
    assert parent.open("0" * 32) != "0" * 32
    parent.finish()
    assert [run.info.status for run in runs(store, experiment)] == ["FINISHED"]


def test_the_run_that_a_killed_process_left_open_is_ended_and_no_other(store: str, experiment: str) -> None:
    parent = ParentRun(experiment, uri=store)
    parent.open()
    left = [RunRecorder(experiment, uri=store, tags=parent.child_tags(fold)) for fold in (0, 1)]
    for recorder in left:
        recorder.start()
    parent.end_left_open(1)
    status = {run.info.run_id: run.info.status for run in runs(store, experiment)}
    assert (status[left[0].run_id], status[left[1].run_id]) == ("RUNNING", "KILLED")
    for recorder in (*left, parent):
        recorder.close("FAILED")


# --- where runs go ---


def test_the_environment_wins_over_the_bundle_and_that_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    default = f"sqlite:///{tmp_path.resolve() / 'mlruns.db'}"
    assert tracking_uri() == tracking_uri(None) == tracking_uri("") == default
    assert tracking_uri("sqlite:////data/runs.db") == "sqlite:////data/runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert tracking_uri("sqlite:////data/runs.db") == "http://mlflow:5000"
    assert RunRecorder("x", uri="sqlite:////data/runs.db").uri == "http://mlflow:5000"


def test_the_environments_store_gets_the_run(store: str, experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    record(RunRecorder(experiment, uri="http://127.0.0.1:9"), max_epochs=1).trainer.run()
    assert len(runs(store, experiment)) == 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://someone:secret@127.0.0.1:9", "Connection refused. Start"),
        ("nonsense://x", "unsupported URI 'nonsense://x'"),
        ("file:///tmp/no_longer_taken", "The filesystem tracking backend"),
    ],
)
def test_a_store_that_cannot_be_reached_is_told_at_once_in_one_line_without_the_password(uri: str, reason: str) -> None:
    made = record(RunRecorder("x", uri=uri))
    with pytest.raises(TrackingUnreachable) as caught:
        made.trainer.run()
    line = str(caught.value)
    assert line.startswith(f"MLflow at {without_password(uri)} cannot be used: ")
    assert line.endswith("Start the server, or set MLFLOW_TRACKING_URI, or run with --no-tracking.")
    assert reason in line
    assert "\n" not in line
    assert "secret" not in line
    assert made.trainer.state.iteration == 0


def test_how_long_mlflow_tries_is_as_it_was_afterwards(
    store: str, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "99")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    recorder = RunRecorder(experiment, uri=store)
    recorder.start(Engine(lambda engine, batch: None))
    recorder.finish()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "99"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:p@host/x failed", "https://…@host/x failed"),
        ("postgresql+psycopg2://u:p%40@db:5432/mlflow", "postgresql+psycopg2://…@db:5432/mlflow"),
        ("sqlite:////data/a@b/runs.db", "sqlite:////data/a@b/runs.db"),
        ("http://host:5000", "http://host:5000"),
    ],
)
def test_passwords_are_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert without_password(text) == shown


# --- the seam in the bundle ---


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_monais_own_tracking_option_brings_the_recorder_in(
    kind: str, store: str, experiment: str, tmp_path: Path
) -> None:
    from monai.bundle import ConfigWorkflow

    bundle = find_bundle("cxr_lung_segmentation")
    cases = [{"image": "a.png", "label": "b.png"}]
    (tmp_path / "datalist.json").write_text(json.dumps(dict.fromkeys(("training", "validation", "test"), cases)))
    own = {"ckpt_dir": str(tmp_path / "models"), "cache_rate": 0.0} if kind == "train" else {}
    workflow = ConfigWorkflow(
        config_file=str(bundle.config(kind)),
        meta_file=str(bundle.metadata),
        logging_file=False,
        workflow_type="train" if kind == "train" else "eval",
        tracking=str(bundle.tracking),
        bundle_root=str(bundle.root),
        output_dir=str(tmp_path),
        datalist=str(tmp_path / "datalist.json"),
        tracking_uri=store,
        experiment_name=experiment,
        run_name="mine",
        **own,
    )
    recorder = workflow.parser.get_parsed_content("training_recorder" if kind == "train" else "evaluation_recorder")
    assert isinstance(recorder, RunRecorder)
    recorder.start(Engine(lambda engine, batch: None))
    recorder.finish()
    (run,) = runs(store, experiment)
    assert run.info.run_name == "mine"
    assert run.data.tags["planar.kind"] == ("training" if kind == "train" else "evaluation")
    assert run.data.params["image_size"] == "[320, 320]"
    (config,) = files(store, run, "config")
    assert config.startswith("config/config_")
    assert files(store, run, "data") == {"data/datalist.json", "data/merkle.json"}


# --- which run made which weights ---


def trained(store: str, experiment: str, folder: Path, scores: list[float], *, resume: bool = False) -> RunRecorder:
    kept = Checkpoints(folder, {})
    recorder = RunRecorder(experiment, uri=store, checkpoints=kept, resume=resume)
    made = Training(
        max_epochs=len(scores),
        scores=scores,
        train_handlers=[Attached(kept), recorder],
        val_handlers=[Attached(kept), ValidationRecorder(recorder)],
    )
    kept.state["network"] = made.network
    if resume:
        kept.load_state_dict(torch.load(folder / "last.pt", weights_only=True)["best"])
    made.trainer.run()
    return recorder


def test_the_weights_say_which_run_they_are_of_and_a_resumed_training_which_it_resumes(
    store: str, experiment: str, tmp_path: Path
) -> None:
    best = tmp_path / "model.pt"
    first = trained(store, experiment, tmp_path, [0.5, 0.7, 0.6])
    digest = file_sha256(best)
    assert read_training_record(tmp_path) == {
        "run_id": first.run_id,
        "tracking_uri": store,
        "model_sha256": digest,
        "step": 2,
    }
    assert training_run_of(best, digest) == first.run_id
    worse = trained(store, experiment, tmp_path, [0.6], resume=True)
    assert read_training_record(tmp_path)["run_id"] == worse.run_id
    assert training_run_of(best, digest) == first.run_id
    better = trained(store, experiment, tmp_path, [0.8], resume=True)
    assert training_run_of(best, digest) is None
    assert training_run_of(best, file_sha256(best)) == better.run_id
    tags = [run.data.tags for run in runs(store, experiment)]
    assert [one.get("planar.resumes") for one in tags] == [None, first.run_id, worse.run_id]
    assert [one["planar.model_sha256"] for one in tags] == [digest, digest, file_sha256(best)]


def test_the_weights_know_their_run_at_once_and_not_only_at_its_end(
    store: str, experiment: str, tmp_path: Path
) -> None:
    kept = Checkpoints(tmp_path, {})
    recorder = RunRecorder(experiment, uri=store, checkpoints=kept)
    known: list[str | None] = []
    made = Training(
        scores=[0.5, 0.4, 0.6],
        train_handlers=[Attached(kept), recorder],
        val_handlers=[Attached(kept), ValidationRecorder(recorder)],
    )
    kept.state["network"] = made.network
    best = tmp_path / "model.pt"
    made.validator.add_event_handler(Events.COMPLETED, lambda _: known.append(training_run_of(best, file_sha256(best))))
    made.trainer.run()
    assert known == [recorder.run_id] * 3


def test_an_evaluation_says_which_weights_and_which_training(store: str, experiment: str, tmp_path: Path) -> None:
    training = trained(store, experiment, tmp_path, [0.5])
    evaluator = Training().validator
    RunRecorder(experiment, uri=store, checkpoint=tmp_path / "model.pt").attach(evaluator)
    evaluator.run()
    tags = runs(store, experiment)[-1].data.tags
    assert tags["planar.training_run"] == training.run_id
    assert tags["planar.model_sha256"] == file_sha256(tmp_path / "model.pt")


# --- code, machine, people ---


def test_a_run_says_where_it_comes_from_and_not_who_if_that_is_switched_off(
    store: str, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for recorder in (RunRecorder(experiment, uri=store), RunRecorder(experiment, uri=store, record_user=False)):
        recorder.start(Engine(lambda engine, batch: None))
        recorder.finish()
    with_user, without = runs(store, experiment)
    assert with_user.data.tags["planar.host"]
    assert not {"mlflow.user", "planar.host"} & set(without.data.tags)
    assert files(store, without) >= {"environment.json", "code"}
    text = MlflowClient(tracking_uri=store).download_artifacts(without.info.run_id, "environment.json")
    facts = json.loads(Path(text).read_text())
    assert not {"user", "host"} & set(facts)
    assert facts["machine"]["memory_bytes"]


def test_the_machine_is_measured_also_in_a_training_shorter_than_the_interval(store: str, experiment: str) -> None:
    record(RunRecorder(experiment, uri=store, system_metrics=True), max_epochs=1).trainer.run()
    (run,) = runs(store, experiment)
    assert history(store, run, "system/cpu_utilization_percentage")
    assert "val_mean_dice" in run.data.metrics
