"""Training from annotations with the real server: by subject, kept only if better, recorded, stopped on request."""

from __future__ import annotations

import csv
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from small_bundle import NAME, untrained

from benchmarks.label_server import LabelServer
from pipeline.digests import file_sha256

pytestmark = [pytest.mark.label, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    """A server on ten phantoms with a small bundle; eight of the films have labels, by two annotators."""
    from pipeline.tasks.phantom import make_phantoms

    folder = tmp_path_factory.mktemp("training")
    make_phantoms(folder / "phantom", number=10, size=64, format="png", workers=1)
    shutil.copytree(folder / "phantom" / "images", folder / "studies")
    untrained(folder)
    settings = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'runs.db'}", "PLANAR_STATE": str(folder / "state")}
    running = LabelServer(folder, ["--studies", folder / "studies", "--bundle", folder / NAME], settings)
    try:
        client = running.start().client
        with (folder / "phantom" / "index.csv").open() as file:
            rows = list(csv.DictReader(file))
        for number, row in enumerate(rows[:8]):
            image = Path(row["image_path"]).stem
            client._client_id = f"annotator {number % 2}"
            mask = np.asarray(Image.open(folder / "phantom" / row["mask_path"])) > 0
            Image.fromarray(mask.astype(np.uint8)).save(folder / "drawn.png")
            client.save_label(image, str(folder / "drawn.png"), params={"label_info": [{"name": "lung", "idx": 1}]})
        yield running
    finally:
        running.stop()


def train(server: LabelServer, **params: object) -> dict:
    request = {"device": "cpu", **params}
    server.client.train_start(NAME, request)
    assert server.client.train_status(check_if_running=True)
    return server.wait_for("train", 900)


def weights(server: LabelServer) -> Path:
    return server.folder / NAME / "models" / "model.pt"


def decisions(server: LabelServer) -> list[dict]:
    lines = (server.folder / NAME / "models" / "decisions.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def datalists(server: LabelServer) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(server.work.glob(f"trainings/{NAME}/*/datalist.json"))]


def validation_images(document: dict) -> set[str]:
    return {item["image_sha256"] for item in document["validation"]}


def test_a_better_model_is_taken_recorded_and_used_at_once(trained: LabelServer) -> None:
    image = sorted(trained.client.datastore()["objects"])[-1]
    before = np.asarray(Image.open(trained.client.infer(NAME, image, {})[0])).copy()
    old = file_sha256(weights(trained))
    done = train(trained, max_epochs=12, pretrained=False)
    details = "\n".join(done["details"])
    assert done["status"] == "DONE", details
    assert "epoch 12 of 12" in details and "taken" in details
    (decision,) = decisions(trained)
    assert decision["taken"] and decision["dice"] > decision["dice_before"]
    assert file_sha256(weights(trained)) == decision["sha256"] != old
    assert [file_sha256(path) for path in (trained.folder / NAME / "models" / "former").iterdir()] == [old]
    file, told = trained.client.infer(NAME, image, {})
    assert told["model"]["sha256"] == decision["sha256"]
    assert (np.asarray(Image.open(file)) != before).any()
    assert trained.client.info()["train_stats"][NAME]["best_metric"] == round(decision["dice"], 4)


def test_a_worse_one_is_not_taken_however_good_its_own_last_epoch_looks(trained: LabelServer) -> None:
    """MONAI Label's stock training lets the first validation of each run overwrite the model."""
    now = file_sha256(weights(trained))
    done = train(trained, max_epochs=1, pretrained=False)
    assert done["status"] == "DONE", "\n".join(done["details"])
    assert "not taken" in "\n".join(done["details"])
    assert not decisions(trained)[-1]["taken"]
    assert file_sha256(weights(trained)) == now


def test_a_training_begins_with_the_model_unless_it_is_told_not_to(trained: LabelServer) -> None:
    done = train(trained, max_epochs=1)
    assert done["status"] == "DONE", "\n".join(done["details"])
    assert decisions(trained)[-1]["dice"] > decisions(trained)[-2]["dice"]


def test_the_validation_set_stays_put_and_shares_no_subject(trained: LabelServer) -> None:
    first, *others = datalists(trained)
    for other in others:
        assert validation_images(other) == validation_images(first)
    subjects = [{item["subject"] for item in first[part]} for part in ("training", "validation")]
    assert not subjects[0] & subjects[1]
    assert all(subjects)


def test_the_run_says_whose_labels_it_had_and_names_nobody(trained: LabelServer) -> None:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{trained.folder / 'runs.db'}")
    run = client.get_run(decisions(trained)[0]["run_id"])
    assert run.info.status == "FINISHED"
    told = json.loads(run.data.tags["planar.annotators"])
    assert sum(one["labels"] for one in told.values()) == 8
    assert len(told) == 2
    assert not any("annotator" in name for name in told)
    assert "phantom-" not in json.dumps(run.data.tags)


def test_a_training_can_be_stopped_and_leaves_the_model_alone(trained: LabelServer) -> None:
    now = file_sha256(weights(trained))
    trained.client.train_start(NAME, {"device": "cpu", "max_epochs": 500})
    until = time.monotonic() + 240
    # Any epoch of this training: the server tells the last lines alone, and short epochs drive the first one out.
    while not re.search(
        r"epoch \d+ of 500", str(requests.get(f"{trained.uri}/train/", timeout=30).json().get("details"))
    ):
        assert time.monotonic() < until
        time.sleep(0.5)
    trained.client.train_stop()
    assert trained.wait_for("train", 60)["status"] == "STOPPED"
    assert file_sha256(weights(trained)) == now
    assert len(decisions(trained)) == 3
