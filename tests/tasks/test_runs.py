"""The table of runs, and what is sent later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.cli import main
from pipeline.tasks.runs import list_runs
from pipeline.tracking.datasets import DatasetFacts
from pipeline.tracking.record import Record


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'runs.db'}"
    MlflowClient(uri).create_experiment("lungs", artifact_location=(folder / "artifacts").as_uri())
    record = Record.begin(uri, "lungs", tags={"planar.kind": "training", "planar.model_sha256": "ab" * 32})
    for part, cases in (("training", 11), ("validation", 2)):
        record.dataset(DatasetFacts(f"films {part}", "cd" * 32, cases), part)
    for epoch, dice in enumerate((0.5, float("nan"), 0.8, 0.7), 1):
        record.metrics({"val_mean_dice": dice, "train_loss": 1 - dice}, epoch)
    record.end("FINISHED")
    record = Record.begin(uri, "lungs", run_name="on the test", tags={"planar.kind": "evaluation"})
    record.params({"split": "test", "cases": 3})
    record.metrics({"dice_left": 0.9, "dice_right": 0.8, "dice_none": float("nan"), "mean_dice": 0.95}, 0)
    record.end("FINISHED")
    Record.begin(uri, "lungs", tags={"planar.kind": "training"}).end("KILLED")
    return uri


def planar(*args: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*args])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_row_says_status_data_and_the_best_number_and_when_it_was(store: str) -> None:
    killed, evaluation, training = list_runs(store)
    assert (training.run.kind, training.run.status) == ("training", "FINISHED")
    assert training.data == "films: 11 training, 2 validation"
    assert training.best is not None
    assert (training.best.metric, training.best.value, training.best.step) == ("val_mean_dice", 0.8, 3)
    assert evaluation.run.name == "on the test"
    assert evaluation.data == "3 test"
    assert evaluation.best is not None
    assert (evaluation.best.metric, evaluation.best.value) == ("mean of dice_CLASS", pytest.approx(0.85))
    assert (killed.run.status, killed.best, killed.data) == ("KILLED", None, "")
    assert [row.run.kind for row in list_runs(store, kind="evaluation")] == ["evaluation"]
    assert len(list_runs(store, limit=2)) == 2


def test_runs_that_are_not_named_are_named_by_kind_and_time(store: str) -> None:
    assert list_runs(store)[-1].run.name.startswith("training-20")


def test_the_table_has_a_line_for_each_run(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert planar("runs", "--store", store) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["run", "name", "kind", "status", "data", "best", "since", "took"]
    assert len(lines) == 3
    assert "val_mean_dice 0.8000 at 3" in lines[2]


def test_json_has_whole_ids_and_digests_and_no_nan(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert planar("runs", "--store", store, "--kind", "training", "--json") == 0
    rows = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert [len(row["run_id"]) for row in rows] == [32, 32]
    assert rows[1]["model_sha256"] == "ab" * 32
    assert rows[1]["data"][0] == {
        "name": "films training",
        "context": "training",
        "merkle_root": "cd" * 32,
        "cases": 11,
    }


def test_a_store_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert planar("runs", "--store", f"sqlite:///{tmp_path / 'none.db'}") == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: ") and error.count("\n") == 1 and "--store" in error


def test_the_run_of_a_killed_process_is_ended_by_sync_which_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLANAR_STATE", str(tmp_path / "state"))
    store = f"sqlite:///{tmp_path / 'runs.db'}"
    code = (
        "import os\nfrom pipeline.tracking.record import Record\n"
        f"record = Record.begin({store!r}, 'x', tags={{}})\nrecord.flush()\nprint(record.run_id, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=os.environ)
    run_id = done.stdout.strip()
    assert planar("runs", "sync") == 0
    assert f"run {run_id}: " in (told := capsys.readouterr().out)
    assert "its process is gone" in told
    assert MlflowClient(store).get_run(run_id).info.status == "KILLED"
    assert planar("runs", "sync") == 0
    assert capsys.readouterr().out == "Nothing is left to send.\n"
