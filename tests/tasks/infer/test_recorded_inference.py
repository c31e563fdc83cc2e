"""The MLflow run of an inference: what was applied to which pixels with which result."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image

from pipeline.bundle import Bundle
from pipeline.datalist import pixel_digest
from pipeline.digests import file_sha256
from pipeline.errors import TrackingUnreachable
from pipeline.readers import read_picture
from pipeline.tasks.infer import infer
from pipeline.tracking import case_leaf, merkle_root
from pipeline.tracking.training_record import write_training_record


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'runs.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # where it was opened first is where artifacts go
        MlflowClient(uri).search_experiments()
    return uri


@pytest.fixture(autouse=True)
def _recorded_there(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.chdir(tmp_path)  # where artifacts go


def films(folder: Path, names: list[str]) -> list[Path]:
    folder.mkdir()
    for number, name in enumerate(names):
        x, y = np.mgrid[:80, :60]
        blob = 200 * np.exp(-(((x - 40) / 20) ** 2) - ((y - 20 - 3 * number) / 9) ** 2)
        Image.fromarray(blob.astype(np.uint8)).save(folder / name)
    return [folder / name for name in names]


def last_run(store: str) -> Run:
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("cxr_lung_segmentation")
    return client.search_runs([experiment.experiment_id], order_by=["start_time DESC"], max_results=1)[0]


def text_of(store: str, run: Run, path: str) -> str:
    return Path(MlflowClient(store).download_artifacts(run.info.run_id, path)).read_text()


def test_an_inference_is_a_run_with_digests_of_inputs_and_results(
    random_bundle: Bundle, store: str, tmp_path: Path
) -> None:
    paths = films(tmp_path / "in", ["one.png", "two.png"])
    (tmp_path / "in" / "Roe^Jane.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    result = infer(str(random_bundle.root), [str(tmp_path / "in")], tmp_path / "out", tracking=True)
    run = last_run(store)
    assert (run.info.run_id, run.info.status) == (result.run_id, "FINISHED")
    assert run.data.tags["planar.kind"] == "inference"
    assert run.data.tags["planar.model_sha256"] == file_sha256(random_bundle.weights)
    assert run.data.params["sources"] == "3"
    assert {name: run.data.metrics[name] for name in ("sources", "refused", "slices")} == {
        "sources": 3.0,
        "refused": 1.0,
        "slices": 2.0,
    }
    rows = list(csv.DictReader(io.StringIO(text_of(store, run, "tables/cases.csv"))))
    for row, path in zip(rows, paths, strict=False):
        mask = tmp_path / "out" / f"{path.stem}_mask.png"
        assert row["image_sha256"] == pixel_digest(read_picture(path).array)
        assert row["mask_sha256"] == pixel_digest(read_picture(mask, labels=True).array)
        assert row["files_sha256"] == file_sha256(mask)
        assert row["case"] == f"case-{row['image_sha256'][:12]}"
    assert rows[2]["refused"]
    assert "Roe" not in text_of(store, run, "tables/cases.csv")
    roots = json.loads(text_of(store, run, "data/merkle.json"))
    made = merkle_root(case_leaf(row["image_sha256"], row["mask_sha256"]) for row in rows[:2])
    assert roots["results"] == {"root": made, "cases": 2}
    (given,) = run.inputs.dataset_inputs
    assert (given.tags[0].value, given.dataset.digest) == ("inference", roots["inference"]["root"][:36])


def test_it_is_linked_to_the_training_that_made_the_weights(random_bundle: Bundle, store: str, tmp_path: Path) -> None:
    (path,) = films(tmp_path / "in", ["one.png"])
    content = {"run_id": "a" * 32, "model_sha256": file_sha256(random_bundle.weights)}
    write_training_record(random_bundle.root / "models", content)
    infer(str(random_bundle.root), [str(path)], tmp_path / "out", tracking=True)
    assert last_run(store).data.tags["planar.training_run"] == "a" * 32


def test_ctrl_c_ends_its_run_as_killed(random_bundle: Bundle, store: str, tmp_path: Path) -> None:
    (path,) = films(tmp_path / "in", ["one.png"])

    def interrupt(done: int, total: int, name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        infer(str(random_bundle.root), [str(path)], tmp_path / "out", tracking=True, on_progress=interrupt)
    run = last_run(store)
    assert run.info.status == "KILLED"
    assert "one.png" not in text_of(store, run, "traceback.txt")


def test_what_was_done_before_ctrl_c_is_recorded(random_bundle: Bundle, store: str, tmp_path: Path) -> None:
    paths = films(tmp_path / "in", ["one.png", "two.png", "three.png"])

    def interrupt(done: int, total: int, name: str) -> None:
        if done > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        infer(str(random_bundle.root), [*map(str, paths)], tmp_path / "out", tracking=True, on_progress=interrupt)
    masks = len(list((tmp_path / "out").glob("*_mask.png")))
    run = last_run(store)
    rows = list(csv.DictReader(io.StringIO(text_of(store, run, "tables/cases.csv"))))
    assert 0 < masks < 3
    assert [row["image_sha256"] for row in rows] == [pixel_digest(read_picture(path).array) for path in paths[:masks]]
    assert run.info.status == "KILLED"


def test_a_store_that_is_not_there_is_told_before_anything_is_computed(
    random_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = films(tmp_path / "in", ["one.png"])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingUnreachable, match="--no-tracking"):
        infer(str(random_bundle.root), [str(path)], tmp_path / "out", tracking=True)
    assert not (tmp_path / "out").exists()
