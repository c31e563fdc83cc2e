from __future__ import annotations

import json
import math
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline.tracking.datasets import DatasetFacts
from pipeline.tracking.delivery import Delivery
from pipeline.tracking.journal import Journal
from pipeline.tracking.record import Record
from pipeline.tracking.stale import close_stale, sync
from pipeline.tracking.words import allowed

FACTS = DatasetFacts("films training", "ab" * 32, 16, {"classes": ["lung"]})


def begin(store: str, experiment: str, **tags: str) -> Record:
    return Record.begin(store, experiment, tags=tags)


def kill(record: Record) -> None:
    """As `kill -9` leaves it."""
    record._sender.stop()
    record._sender.join()
    record._journal.close()
    record._owner.release()


def folders(state: Path) -> list[str]:
    return sorted(path.name for path in (state / "records").iterdir())


def unreachable(*_: Any, **__: Any) -> bool:
    raise ConnectionRefusedError(111, "Connection refused")


def tell_all(record: Record, folder: Path) -> str:
    """One of everything."""
    (folder / "model.pt").write_bytes(b"weights")
    (folder / "model").mkdir()
    (folder / "model" / "MLmodel").write_text("flavors: {}")
    record.params({"size": [6, 6], "network_def#norm": "x" * 600})
    record.metrics({"loss": 0.5, "dice cup (outer)": float("nan")}, 1, time_ms=1000)
    record.tags({"planar.kind": "training"})
    record.text("+ line\n", "code/diff.patch")
    record.file(folder / "model.pt", "checkpoints")
    record.file(folder / "missing.csv", "tables")
    record.dataset(FACTS, "training")
    model = record.model("best: 1.0", folder / "model", step=3, tags={"sha256": "f00"}, params={"epochs": 3})
    record.metrics({"val_dice": 0.9}, 3, time_ms=2000, model=model, dataset=FACTS)
    record.model_tags(model, {"gate": "open"})
    return model


def test_a_number_that_there_is_not_is_no_zero_of_the_model(
    store: str, experiment: str, state: Path, tmp_path: Path
) -> None:
    """Such as the Dice of a class that no case of the test part has."""
    record = begin(store, experiment)
    (tmp_path / "model").mkdir()
    model = record.model("best", tmp_path / "model", step=3, tags={}, params={})
    record.metrics({"dice_lung": 0.9, "dice_rare": float("nan")}, 3, model=model, dataset=FACTS)
    record.end("FINISHED")
    client = MlflowClient(store)
    run = client.get_run(record.run_id)
    assert math.isnan(run.data.metrics["dice_rare"]) and run.data.metrics["dice_lung"] == 0.9
    (logged,) = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{record.run_id}'")
    assert {one.key: one.value for one in client.get_logged_model(logged.model_id).metrics} == {"dice_lung": 0.9}


def told(client: MlflowClient, run_id: str) -> dict[str, Any]:
    """All that MLflow has of a run."""
    run = client.get_run(run_id)
    models = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'")
    return {
        "status": run.info.status,
        "params": run.data.params,
        "tags": {name: value for name, value in run.data.tags.items() if name.startswith("planar.")},
        "points": sorted(
            (name, point.timestamp, point.step, str(point.value))
            for name in run.data.metrics
            for point in client.get_metric_history(run_id, name)
        ),
        "datasets": [
            (one.dataset.name, one.dataset.digest, json.loads(one.dataset.profile), one.tags[0].value)
            for one in run.inputs.dataset_inputs
        ],
        "outputs": [(one.model_id, one.step) for one in run.outputs.model_outputs],
        "models": [
            (one.model_id, one.name, str(one.status), one.params, sorted(one.tags.items()), len(one.metrics))
            for one in models
        ],
        "files": sorted(
            item.path for folder in ("code", "checkpoints", "tables") for item in client.list_artifacts(run_id, folder)
        ),
    }


def test_everything_that_is_told_is_in_mlflow_and_nothing_is_left(
    store: str, experiment: str, state: Path, tmp_path: Path
) -> None:
    record = begin(store, experiment)
    tell_all(record, tmp_path)
    assert record.end("FINISHED") is None
    client = MlflowClient(store)
    said = told(client, record.run_id)
    assert said["status"] == "FINISHED"
    assert said["params"] == {"size": "[6, 6]", "network_def_norm": "x" * 500}
    assert said["tags"]["planar.kind"] == "training"
    assert said["points"] == [
        ("dice cup _outer_", 1000, 1, "nan"),
        ("loss", 1000, 1, "0.5"),
        ("val_dice", 2000, 3, "0.9"),
    ]
    whole = {"merkle_root": "ab" * 32, "cases": 16, "classes": ["lung"]}
    assert said["datasets"] == [("films training", "ab" * 18, whole, "training")]
    ((model, name, status, params, tags, metrics),) = said["models"]
    assert (name, status, params, metrics) == ("best_ 1_0", "READY", {"epochs": "3"}, 1)
    assert {("sha256", "f00"), ("gate", "open")} <= set(tags)
    assert said["outputs"] == [(model, 3)]
    (metric,) = client.get_logged_model(model).metrics
    assert (metric.key, metric.value, metric.dataset_name, metric.dataset_digest) == (
        "val_dice",
        0.9,
        "films training",
        "ab" * 18,
    )
    assert said["files"] == ["checkpoints/model.pt", "code/diff.patch"]
    assert folders(state) == []


def test_what_was_sent_but_not_marked_as_sent_is_sent_again_and_doubles_nothing(
    store: str, experiment: str, state: Path, tmp_path: Path
) -> None:
    record = begin(store, experiment)
    tell_all(record, tmp_path)
    assert record.flush()
    client = MlflowClient(store)
    before = told(client, record.run_id)
    journal = record._journal
    kill(record)
    (journal.folder / "sent").unlink()
    # The copies have gone with their being sent; a process that is killed in between still has them.
    for operation in Journal(journal.folder).pending:
        if "source" in operation:
            source = journal.source(operation)
            source.parent.mkdir(parents=True, exist_ok=True)
            if operation["op"] == "model_files":
                source.mkdir()
                (source / "MLmodel").write_text("flavors: {}")
            else:
                source.write_text("again")
    (result,) = sync(store)
    assert (result.run_id, result.left, result.refused, result.found_stale) == (record.run_id, 0, 0, True)
    assert result.sent > 10
    after = told(client, record.run_id)
    assert after.pop("status") == "KILLED"
    assert after["tags"].pop("planar.ended") == f"found stale: process {os.getpid()} is gone"
    assert {name: value for name, value in before.items() if name != "status"} == after
    assert sync(store) == []
    assert folders(state) == []


def test_a_store_that_goes_away_gets_everything_from_the_next_command(
    store: str, experiment: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = begin(store, experiment)
    with monkeypatch.context() as patch:
        patch.setattr(Delivery, "_send", unreachable)
        tell_all(record, tmp_path)
        shortfall = record.end("FINISHED", limit_s=0.5)
        assert shortfall is not None
        assert "Connection refused." in shortfall
        assert "planar runs sync" in shortfall
        (left,) = sync(store)
        assert left.left > 10
        assert left.reason == "Connection refused."
    client = MlflowClient(store)
    assert client.get_run(record.run_id).info.status == "RUNNING"
    second = begin(store, experiment)  # any command that opens this store
    said = told(client, record.run_id)
    assert said["status"] == "FINISHED"
    assert "planar.ended" not in said["tags"]
    assert len(said["points"]) == 3
    assert len(said["models"]) == 1
    second.end("FINISHED")
    assert folders(state) == []


def test_artifacts_that_cannot_be_stored_do_not_hold_up_numbers_and_the_end(
    store: str, experiment: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = begin(store, experiment)
    client = MlflowClient(store)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifact", unreachable)
        patch.setattr(MlflowClient, "log_model_artifacts", unreachable)
        tell_all(record, tmp_path)
        assert record.end("FINISHED", limit_s=10) is not None
        said = told(client, record.run_id)
        assert said["status"] == "FINISHED"
        assert len(said["points"]) == 3
        assert said["files"] == []
    (result,) = sync(store)
    assert result.left == 0
    assert not result.found_stale
    assert told(client, record.run_id)["files"] == ["checkpoints/model.pt", "code/diff.patch"]


def test_what_mlflow_will_never_take_is_set_aside_and_the_rest_goes_on(
    store: str, experiment: str, state: Path
) -> None:
    record = begin(store, experiment)
    record.params({"seed": 1})
    record.params({"seed": 2})  # MLflow does not change a parameter
    record.metrics({"dice": 0.9}, 1)
    shortfall = record.end("FINISHED")
    assert shortfall is not None
    assert "did not take 1 part" in shortfall
    run = MlflowClient(store).get_run(record.run_id)
    assert (run.info.status, run.data.params, run.data.metrics) == ("FINISHED", {"seed": "1"}, {"dice": 0.9})
    assert folders(state) == []
    (kept,) = (state / "refused").iterdir()
    assert "Changing param values" in (kept / "refused.jsonl").read_text()


def test_a_run_that_somebody_deleted_keeps_no_later_command_busy(store: str, experiment: str, state: Path) -> None:
    record = begin(store, experiment)
    assert record.flush()
    MlflowClient(store).delete_run(record.run_id)
    record.metrics({"dice": 0.9}, 1)
    assert record.end("FINISHED") is not None
    assert folders(state) == []


def test_a_process_that_is_gone_leaves_a_run_that_is_ended_and_never_taken_up(
    store: str, experiment: str, state: Path
) -> None:
    first = begin(store, experiment)
    first.metrics({"dice": 0.1}, 1)
    first.flush()
    alive = begin(store, experiment)
    kill(first)
    second = begin(store, experiment)
    client = MlflowClient(store)
    assert [client.get_run(one.run_id).info.status for one in (first, alive, second)] == [
        "KILLED",
        "RUNNING",
        "RUNNING",
    ]
    assert len({first.run_id, alive.run_id, second.run_id}) == 3
    end = client.get_run(first.run_id).info
    assert end.start_time <= end.end_time
    alive.end("FINISHED")
    second.end("FINISHED")


def test_a_process_killed_before_the_runs_id_was_written_down_leaves_no_run_open(
    store: str, experiment: str, state: Path
) -> None:
    record = begin(store, experiment)
    kill(record)
    about = state / "records" / folders(state)[0] / "about.json"
    about.write_text(json.dumps({name: v for name, v in json.loads(about.read_text()).items() if name != "run_id"}))
    client = MlflowClient(store)
    (result,) = close_stale(store, client)
    assert result.found_stale
    assert client.get_run(record.run_id).info.status == "KILLED"


def test_without_locks_the_process_number_tells_who_is_there(
    store: str, experiment: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", none)
    record = begin(store, experiment)
    folder = state / "records" / folders(state)[0]
    about = json.loads((folder / "about.json").read_text())
    assert about["host"] == socket.gethostname()
    kill(record)
    client = MlflowClient(store)

    def closed_with(**changes: object) -> list[bool]:
        (folder / "about.json").write_text(json.dumps({**about, **changes}))
        return [not one.running for one in close_stale(store, client)]

    assert closed_with() == [False]
    assert closed_with(host="another") == [False]
    assert closed_with(process_created=about["process_created"] - 100) == [True]  # the number is another's now


def test_a_record_without_a_folder_of_its_own_is_sent_all_the_same(
    store: str, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("PLANAR_STATE", str(tmp_path / "file"))
    record = begin(store, experiment)
    assert "Name a folder that can be written with PLANAR_STATE." in caplog.text
    record.metrics({"dice": 0.9}, 1)
    assert record.end("FINISHED") is None
    assert MlflowClient(store).get_run(record.run_id).data.metrics == {"dice": 0.9}
    assert not record._journal.folder.exists()


def test_the_password_of_a_store_is_written_down_nowhere(
    store: str, experiment: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pipeline.tracking.record.open_store",
        lambda uri, name: (client := MlflowClient(store), client.get_experiment_by_name(name).experiment_id),
    )
    record = Record.begin("http://someone:secret@127.0.0.1:9", experiment, tags={})
    kill(record)
    texts = [path.read_text() for path in state.rglob("*") if path.is_file()]
    assert texts
    assert not any("secret" in text for text in texts)
    (result,) = sync()
    assert result.store == "http://…@127.0.0.1:9"
    assert result.reason == "It needs a user and password: set MLFLOW_TRACKING_URI."


def test_a_backlog_is_sent_in_few_requests(
    store: str, experiment: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = begin(store, experiment)
    sizes: list[int] = []
    log_batch = MlflowClient.log_batch

    def counted(self: MlflowClient, run_id: str, metrics: Any = (), **others: Any) -> None:
        sizes.append(len(metrics))
        log_batch(self, run_id, metrics=metrics, **others)

    with monkeypatch.context() as patch:
        patch.setattr(Delivery, "_send", unreachable)
        for step in range(700):
            record.metrics({"a": step, "b": step, "c": step}, step)
    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    assert record.end("FINISHED") is None
    assert sum(sizes) == 2100
    assert max(sizes) <= 1000
    assert len(sizes) <= 5


def test_an_error_of_the_server_is_tried_again_and_not_for_ever(
    store: str, experiment: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = begin(store, experiment)
    tries: list[str] = []

    def broken(self: Delivery, operation: Any, _: Journal) -> None:
        tries.append(operation["op"])
        raise MlflowException("BAD_REQUEST: nobody knows why")

    monkeypatch.setattr(Delivery, "_send_params", broken)
    record.params({"seed": 1})
    record.metrics({"dice": 0.9}, 1)
    assert "did not take 1 part" in str(record.end("FINISHED", limit_s=20))
    assert len(tries) == 5
    assert MlflowClient(store).get_run(record.run_id).data.metrics == {"dice": 0.9}


@pytest.mark.parametrize(
    ("name", "taken"),
    [("system/cpu", "system/cpu"), ("cup (outer)", "cup _outer_"), ("a//b", "a__b"), ("../x", ".._x"), ("/a", "_a")],
)
def test_names_are_as_mlflow_takes_them(name: str, taken: str) -> None:
    assert allowed(name) == taken


def test_a_model_is_registered_once_however_often_that_is_sent(
    store: str, experiment: str, state: Path, tmp_path: Path
) -> None:
    record = begin(store, experiment)
    model = tell_all(record, tmp_path)
    record.register(model, experiment, "champion")
    record.register(model, experiment, "champion")
    assert record.end("FINISHED") is None
    client = MlflowClient(store)
    (version,) = client.search_model_versions(f"name = '{experiment}'")
    assert client.get_model_version_by_alias(experiment, "champion").version == version.version
    assert version.run_id == record.run_id
