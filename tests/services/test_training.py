"""A training, an evaluation and an inference by their commands, recorded on PostgreSQL with artifacts over HTTP."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow_server import MlflowServer
from planar_shell import SMALL, Shell, run_of
from postgres import Postgres
from recorded import require_epochs_once, status_of, tag_of
from servers import RUNS

from pipeline.tracking import RunFacts, RunStore

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]

EPOCHS = 3


@dataclass(frozen=True)
class Trained:
    """A training that was recorded.

    Attributes:
        shell: In which the commands were called.
        run_id: The run.
        bundle: The trained bundle.
        datalist: What it was trained on.
    """

    shell: Shell
    run_id: str
    bundle: Path
    datalist: Path


@pytest.fixture(scope="module")
def trained(server: MlflowServer, phantom_datalist: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """`planar train --register --champion` on phantom films."""
    shell = Shell(tmp_path_factory.mktemp("training"), server.uri)
    said = shell.planar(
        *("train", "cxr_lung_segmentation", "--data", phantom_datalist, "-o", "lungs"),
        *("--register", "phantom_lungs", "--champion"),
        *(f"{name}={value}" for name, value in {**SMALL, "max_epochs": str(EPOCHS)}.items()),
    ).stdout
    return Trained(shell, run_of(said), shell.folder / "lungs", phantom_datalist)


def facts_of(trained: Trained, folder: Path, run_id: str | None = None) -> RunFacts:
    return RunStore(trained.shell.uri).read(run_id or trained.run_id, folder)


def test_the_run_is_whole_and_has_each_epoch_once(postgres: Postgres, trained: Trained) -> None:
    assert status_of(postgres, RUNS, trained.run_id) == "FINISHED"
    assert tag_of(postgres, RUNS, trained.run_id, "planar.kind") == "training"
    require_epochs_once(postgres, RUNS, trained.run_id, trained.bundle / "models" / "history.csv")
    parameters = dict(postgres.rows(RUNS, "SELECT key, value FROM params WHERE run_uuid = %s", trained.run_id))
    assert parameters["max_epochs"] == str(EPOCHS)
    assert not list((trained.shell.state / "records").iterdir())


def test_each_artifact_comes_over_http_as_it_was_sent(trained: Trained, tmp_path: Path) -> None:
    run = MlflowClient(trained.shell.uri).get_run(trained.run_id)
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    facts = facts_of(trained, tmp_path)
    manifest = json.loads(facts.fetch("manifest.json").read_text())
    assert {"data/datalist.json", "environment.json", "tables/history.csv", "pictures/curves.png"} <= set(facts.files)
    for path, digest in manifest["files"].items():
        assert hashlib.sha256(facts.fetch(path).read_bytes()).hexdigest() == digest, path
    # By the address that a browser asks.
    address = f"{trained.shell.uri}/get-artifact?path=pictures/curves.png&run_uuid={trained.run_id}"
    with urllib.request.urlopen(address, timeout=60) as answer:
        assert hashlib.sha256(answer.read()).hexdigest() == manifest["files"]["pictures/curves.png"]


def test_each_part_of_the_data_is_a_dataset_with_its_digest(trained: Trained, tmp_path: Path) -> None:
    facts = facts_of(trained, tmp_path)
    roots = json.loads(facts.fetch("data/merkle.json").read_text())
    assert set(roots) == {"training", "validation", "test"}
    used = {one.context: one for one in facts.datasets}
    assert {context: one.profile["merkle_root"] for context, one in used.items()} == {
        part: root["root"] for part, root in roots.items()
    }
    assert all(one.profile["merkle_root"].startswith(one.digest) for one in used.values())


def test_best_and_last_are_models_with_digest_step_and_scores(trained: Trained, tmp_path: Path) -> None:
    models = {one.name: one for one in facts_of(trained, tmp_path).models}
    assert set(models) == {"best", "last"}
    for name, file in (("best", "model.pt"), ("last", "last.pt")):
        digest = hashlib.sha256((trained.bundle / "models" / file).read_bytes()).hexdigest()
        assert (models[name].status, models[name].tags["sha256"], models[name].made) == ("READY", digest, True)
    assert models["last"].step == EPOCHS
    record = json.loads((trained.bundle / "models" / "record.json").read_text())
    assert (models["best"].step, models["best"].tags["sha256"]) == (record["step"], record["model_sha256"])
    assert models["best"].metrics["val_mean_dice"] > 0


def test_the_best_weights_are_registered_as_champion(trained: Trained, tmp_path: Path) -> None:
    client = MlflowClient(trained.shell.uri)
    version = client.get_model_version_by_alias("phantom_lungs", "champion")
    assert (version.version, version.run_id) == ("1", trained.run_id)
    (best,) = [one for one in facts_of(trained, tmp_path).models if one.name == "best"]
    assert version.source == f"models:/{best.model_id}"


def test_planar_runs_lists_it_and_nothing_is_left_to_send(trained: Trained) -> None:
    (row,) = [
        row
        for row in json.loads(trained.shell.planar("runs", "--json", "-n", "0").stdout)
        if row["run_id"] == trained.run_id
    ]
    assert (row["kind"], row["status"], row["best"]["metric"]) == ("training", "FINISHED", "val_mean_dice")
    assert trained.shell.planar("runs", "sync").stdout == "Nothing is left to send.\n"


def test_the_training_passes_its_audit(trained: Trained) -> None:
    said = trained.shell.planar("audit", "verify", trained.run_id[:10]).stdout
    assert f"PASS: training {trained.run_id}" in said


def test_an_evaluation_is_a_run_that_names_the_training_and_passes_its_audit(
    postgres: Postgres, trained: Trained, tmp_path: Path
) -> None:
    run_id = run_of(trained.shell.planar("evaluate", "lungs", "--data", trained.datalist, "-o", "scores").stdout)
    assert status_of(postgres, RUNS, run_id) == "FINISHED"
    assert tag_of(postgres, RUNS, run_id, "planar.training_run") == trained.run_id
    assert tag_of(postgres, RUNS, run_id, "planar.model_version") == "phantom_lungs/1"
    assert {"tables/cases.csv", "tables/metrics.json"} <= set(facts_of(trained, tmp_path, run_id).files)
    assert "PASS: evaluation" in trained.shell.planar("audit", "verify", run_id).stdout


def test_an_inference_is_a_run_that_names_the_training(postgres: Postgres, trained: Trained) -> None:
    images = trained.datalist.parent / "phantom" / "images"
    run_id = run_of(trained.shell.planar("infer", "lungs", images, "-o", "masks").stdout)
    assert status_of(postgres, RUNS, run_id) == "FINISHED"
    assert tag_of(postgres, RUNS, run_id, "planar.kind") == "inference"
    assert tag_of(postgres, RUNS, run_id, "planar.training_run") == trained.run_id
    assert tag_of(postgres, RUNS, run_id, "planar.model_version") == "phantom_lungs/1"
