"""Trainings that end in the middle, through both commands, and the one that comes after them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline.bundle import find_bundle

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.name == "nt", reason="processes are ended otherwise on Windows"),
]

ENDS = {
    "exception": "raise ZeroDivisionError('the trap')",
    "SIGINT": "os.kill(os.getpid(), signal.SIGINT)",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "kill -9": "os.kill(os.getpid(), signal.SIGKILL)",
    "none": "pass",
}
# Runs a command once for each end, as a shell would, in a process that ends in that way in its third epoch. The
# processes are forked from one that has imported what takes seconds to import.
CODE = """
import json, os, runpy, signal, sqlite3, sys
import mlflow, monai.bundle, monai.engines, monai.handlers, monai.networks.nets, monai.transforms
import pipeline.tasks.train, pipeline.tracking.parent, pipeline.tracking.system
from pipeline.cli import main
from pipeline.history import History

end_epoch, (ends, commands), database = History._end_epoch, map(json.loads, sys.argv[1:3]), sys.argv[3]
told = {}
for name, end in ends.items():
    if name == "none":
        with sqlite3.connect(database) as rows:
            told["before the last"] = [row[0] for row in rows.execute("SELECT status FROM runs ORDER BY start_time")]
    process = os.fork()
    if process == 0:
        break
    told[name] = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
else:
    print("told:" + json.dumps(told))
    os._exit(0)

signal.signal(signal.SIGINT, signal.default_int_handler)

def with_end(self, trainer):
    end_epoch(self, trainer)
    if trainer.state.epoch == 3:
        exec(end)

History._end_epoch = with_end
program, *arguments = commands[name]
if program == "planar":
    main(arguments)
else:
    sys.argv = [program, *arguments]
    runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)
"""
SETTINGS = {
    "max_epochs": "4",
    "val_interval": "1",
    "image_size": "[64, 64]",
    "num_workers": "0",
    "batch_size": "4",
    "network_def#channels": "[4, 8]",
    "network_def#strides": "[2]",
}


def planar(datalist: Path, folder: Path) -> list[str]:
    settings = [f"{name}={value}" for name, value in SETTINGS.items()]
    return ["planar", "train", "cxr_lung_segmentation", "--data", str(datalist), "-o", str(folder), *settings]


def stock(datalist: Path, folder: Path) -> list[str]:
    root = find_bundle("cxr_lung_segmentation").root
    options = {
        "config_file": str(root / "configs" / "train.yaml"),
        "tracking": str(root / "configs" / "tracking.json"),
        "bundle_root": str(root),
        "datalist": str(datalist),
        "ckpt_dir": str(folder / "models"),
        "output_dir": str(folder / "eval"),
        **SETTINGS,
    }
    return ["monai.bundle", "run", *(part for name, value in options.items() for part in (f"--{name}", value))]


def runs(store: str) -> list[Run]:
    client = MlflowClient(store)
    (experiment,) = client.search_experiments(filter_string="name = 'cxr_lung_segmentation'")
    return list(client.search_runs([experiment.experiment_id], order_by=["start_time ASC"]))


@pytest.mark.parametrize("command", [planar, stock], ids=["planar train", "monai.bundle run"])
def test_each_training_that_ends_in_its_third_epoch_is_a_run_of_its_own_with_the_right_status(
    command, phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f"sqlite:///{tmp_path / 'mlruns.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("PLANAR_STATE", str(tmp_path / "state"))
    commands = {end: command(phantom_datalist, tmp_path / str(number)) for number, end in enumerate(ENDS)}
    result = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            CODE,
            json.dumps(ENDS),
            json.dumps(commands),
            str(tmp_path / "mlruns.db"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "told:" in result.stdout, result.stderr[-3000:]
    told = json.loads(result.stdout.rpartition("told:")[2])
    assert told["none"] == 0, result.stderr[-3000:]
    assert told["SIGTERM"] == 128 + signal.SIGTERM
    assert told["kill -9"] == -signal.SIGKILL
    assert told["exception"] == 1
    # Nothing had ended the last one yet.
    assert told["before the last"] == ["FAILED", "KILLED", "KILLED", "RUNNING"]
    found = runs(store)
    assert [one.info.status for one in found] == ["FAILED", "KILLED", "KILLED", "KILLED", "FINISHED"]
    client = MlflowClient(store)
    steps = [[p.step for p in client.get_metric_history(one.info.run_id, "val_mean_dice")] for one in found]
    assert steps == [[1, 2, 3]] * 4 + [[1, 2, 3, 4]]
    losses = [[p.step for p in client.get_metric_history(one.info.run_id, "train_loss")] for one in found]
    assert losses == [[1, 2]] * 4 + [[1, 2, 3, 4]]
    texts = ["ZeroDivisionError: the trap", "KeyboardInterrupt", "SIGTERM"]
    for one, text in zip(found, texts, strict=False):
        traceback = Path(client.download_artifacts(one.info.run_id, "traceback.txt")).read_text()
        assert text in traceback
        assert "with_end" in traceback  # where it was
    assert [one.data.tags.get("planar.ended", "")[:15] for one in found] == [
        "ZeroDivisionErr",
        "SIGINT",
        "SIGTERM",
        "found stale: pr",
        "",
    ]
    assert not list((tmp_path / "state" / "records").iterdir())
