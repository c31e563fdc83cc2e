"""What becomes of the weights of a training: models, versions, and a server that answers with masks."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from pipeline.digests import file_sha256
from pipeline.readers import read_picture
from pipeline.tasks.evaluate import evaluate
from pipeline.tasks.train import TrainingResult, train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SMALL = (
    "max_epochs=2",
    "val_interval=1",
    "image_size=[64, 64]",
    "num_workers=0",
    "batch_size=4",
    "network_def#channels=[4, 8]",
    "network_def#strides=[2]",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, phantom_datalist: Path) -> Iterator[tuple[TrainingResult, str]]:
    """A registered training, and its store."""
    folder = tmp_path_factory.mktemp("registered")
    store = f"sqlite:///{folder / 'mlruns.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store)
        patch.chdir(folder)
        result = train(
            "cxr_lung_segmentation", phantom_datalist, folder / "bundle", SMALL, register_as="lungs", champion=True
        )
        yield result, store


def model_of(client: MlflowClient) -> str:
    """The id of the champion's model."""
    return str(client.get_model_version_by_alias("lungs", "champion").source).removeprefix("models:/")


def test_best_and_last_are_models_with_digest_step_scores_and_data(trained: tuple[TrainingResult, str]) -> None:
    result, store = trained
    client = MlflowClient(store)
    run = client.get_run(result.run_id)
    found = client.search_logged_models([run.info.experiment_id])
    models = {model.name: model for model in found}
    assert set(models) == {"best", "last"}
    folder = result.bundle.root / "models"
    assert {name: model.tags["sha256"] for name, model in models.items()} == {
        "best": file_sha256(folder / "model.pt"),
        "last": file_sha256(folder / "last.pt"),
    }
    assert {one.model_id: one.step for one in run.outputs.model_outputs} == {
        models["best"].model_id: result.best_epoch,
        models["last"].model_id: 2,
    }
    data = {one.tags[0].value: one.dataset for one in run.inputs.dataset_inputs}
    assert set(data) == {"training", "validation", "test"}
    scores = {metric.key: metric for metric in models["best"].metrics}
    assert scores["val_mean_dice"].value == pytest.approx(result.best_metric)
    assert scores["val_mean_dice_lung"].step == result.best_epoch
    assert scores["val_mean_dice"].dataset_digest == data["validation"].digest
    # They are the run's own points, and no further ones.
    points = client.get_metric_history(result.run_id, "val_mean_dice")
    assert sorted(point.step for point in points) == [1, 2]


def test_the_best_weights_are_registered_as_champion(trained: tuple[TrainingResult, str]) -> None:
    result, store = trained
    client = MlflowClient(store)
    version = client.get_model_version_by_alias("lungs", "champion")
    assert (version.run_id, str(version.version)) == (result.run_id, "1")
    model = client.get_logged_model(model_of(client))
    assert model.name == "best"
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "lungs", "version": version.version}]


def test_an_evaluation_is_linked_to_the_training_its_model_and_the_registered_version(
    trained: tuple[TrainingResult, str], phantom_datalist: Path, tmp_path: Path
) -> None:
    result, store = trained
    scored = evaluate(str(result.bundle.root), phantom_datalist, "test", tmp_path / "eval")
    client = MlflowClient(store)
    model = model_of(client)
    run = client.get_run(scored.run_id)
    assert run.data.tags["planar.training_run"] == result.run_id
    assert run.data.tags["planar.model_version"] == "lungs/1"
    assert [one.model_id for one in run.inputs.model_inputs] == [model]
    (given,) = run.inputs.dataset_inputs
    assert given.tags[0].value == "test"
    metrics = [metric for metric in client.get_logged_model(model).metrics if metric.key == "mean_dice"]
    assert [(one.run_id, one.dataset_digest) for one in metrics] == [(scored.run_id, given.dataset.digest)]
    # The table of cases and the report say which cases, and no names of files.
    tables = Path(client.download_artifacts(scored.run_id, "tables"))
    header, *rows = (tables / "cases.csv").read_text().splitlines()
    assert header.startswith("case,image_sha256,subject,")
    assert "mask_sha256" in header
    assert len(rows) == scored.cases
    assert all(row.startswith("case-") for row in rows)
    page = Path(client.download_artifacts(scored.run_id, "report/report.html")).read_text()
    assert rows[0].split(",")[0] in page
    assert "data:image/" in page  # the pictures too
    name = json.loads(phantom_datalist.read_text())["test"][0]["image"]
    assert Path(name).stem not in page


def ask(port: int, content: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        data=json.dumps(content).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["predictions"]
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error


@pytest.fixture(scope="module")
def port(trained: tuple[TrainingResult, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of `mlflow models serve` on the champion."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = int(free.getsockname()[1])
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/lungs@champion"]
    command += ["--host", "127.0.0.1", "--port", str(number), "--env-manager", "local", "--workers", "1"]
    log = tmp_path_factory.mktemp("serve") / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            start_new_session=True,
            # MLflow calls uvicorn by its name, which lies beside this Python.
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",  # as the tests: sums over pixels are rounded by how they are shared out
                "MLFLOW_TRACKING_URI": trained[1],
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            },
        )
    try:
        until = time.monotonic() + 300
        while True:
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < until, log.read_text()[-3000:]
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{number}/ping", timeout=5):
                    break
            except OSError:
                time.sleep(0.5)
        yield number
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.service
def test_the_champion_is_served_and_answers_a_png_and_an_array_with_masks(
    trained: tuple[TrainingResult, str], port: int, phantom_datalist: Path, tmp_path: Path
) -> None:
    from pipeline.tasks.infer import infer

    name = json.loads(phantom_datalist.read_text())["test"][0]["image"]
    film = phantom_datalist.parent / name
    infer(str(trained[0].bundle.root), [str(film)], tmp_path)
    (written,) = tmp_path.glob("*_mask.png")
    expected = read_picture(written, labels=True).array.T
    sent = base64.b64encode(film.read_bytes()).decode()
    pixels = read_picture(film).array.T.tolist()
    for content in (
        {"dataframe_split": {"columns": ["image"], "data": [[sent]]}},
        {"dataframe_records": [{"image": sent}]},
        {"instances": [{"image": sent}]},
        {"inputs": {"image": [sent]}},
    ):
        (answer,) = ask(port, content)
        assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["mask"])))) == expected).all()
        assert answer["labels"] == {"0": "background", "1": "lung"}
    for content in (
        {"dataframe_split": {"columns": ["image"], "data": [[pixels]]}},
        {"dataframe_records": [{"image": pixels}]},
        {"instances": [{"image": pixels}]},
    ):
        (answer,) = ask(port, content)
        assert (np.asarray(answer["mask"]) == expected).all()
    (answer,) = ask(port, {"dataframe_records": [{"image": sent}], "params": {"mask_as": "array"}})
    assert (np.asarray(answer["mask"]) == expected).all()


@pytest.mark.service
def test_the_input_example_of_the_model_is_answered(trained: tuple[TrainingResult, str], port: int) -> None:
    client = MlflowClient(trained[1])
    folder = Path(url2pathname(client.get_logged_model(model_of(client)).artifact_location.removeprefix("file://")))
    example = folder / "serving_input_example.json"
    (answer,) = ask(port, json.loads(example.read_text()))
    assert np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["mask"])))).shape == (64, 64)
