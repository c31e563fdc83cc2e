"""Runs read back from a store, and the manifest by which a change is told."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import pytest
from mlflow import MlflowClient
from test_record import FACTS, tell_all

from pipeline.errors import InvalidOption, TrackingUnreachable
from pipeline.tracking.facts import Point, RunFacts
from pipeline.tracking.manifest import MANIFEST, TAG, Manifest, points_sha256
from pipeline.tracking.reading import RunStore
from pipeline.tracking.record import Record

pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture
def run_id(store: str, experiment: str, tmp_path: Path) -> str:
    (tmp_path / "given").mkdir()
    record = Record.begin(store, experiment, run_name="one of all", tags={"planar.kind": "training"})
    tell_all(record, tmp_path / "given")
    assert record.end("FINISHED") is None
    return record.run_id


def test_all_that_was_told_is_read_again(store: str, run_id: str, tmp_path: Path) -> None:
    run = RunStore(store).read(run_id, tmp_path / "read")
    assert (run.run_id, run.name, run.status, run.kind) == (run_id, "one of all", "FINISHED", "training")
    assert [(point.step, point.value) for point in run.metrics["loss"]] == [(1, 0.5)]
    assert math.isnan(run.metrics["dice cup _outer_"][0].value)
    (dataset,) = run.datasets
    assert (dataset.context, dataset.profile["merkle_root"]) == ("training", FACTS.merkle_root)
    (model,) = run.models
    assert (model.made, model.step, model.tags["sha256"], model.metrics["val_dice"]) == (True, 3, "f00", 0.9)
    assert {"checkpoints/model.pt", "code/diff.patch", MANIFEST} <= set(run.files)
    assert run.fetch("checkpoints/model.pt").read_bytes() == b"weights"
    (in_model,) = [path for path in run.files if path.startswith("models/")]
    assert in_model == f"models/{model.name}/MLmodel"
    assert run.fetch(in_model).read_text() == "flavors: {}"


def test_a_run_is_the_same_after_a_way_through_json(store: str, run_id: str, tmp_path: Path) -> None:
    run = RunStore(store).read(run_id, tmp_path)
    document = json.loads(json.dumps(run.document(), allow_nan=False))
    again = RunFacts.of_document(document, run.files, run.fetch)
    assert again.document() == run.document()


def test_the_manifest_has_each_file_and_number_and_its_digest_is_a_tag(store: str, run_id: str, tmp_path: Path) -> None:
    run = RunStore(store).read(run_id, tmp_path)
    text = run.fetch(MANIFEST).read_bytes()
    assert run.tags[TAG] == hashlib.sha256(text).hexdigest()
    manifest = json.loads(text)
    for path, digest in manifest["files"].items():
        assert hashlib.sha256(run.fetch(path).read_bytes()).hexdigest() == digest, path
    assert set(manifest["files"]) == set(run.files) - {MANIFEST}
    for name, points in run.metrics.items():
        assert manifest["metrics"][name]["sha256"] == points_sha256((p.step, p.value) for p in points), name
    assert manifest["params"]["count"] == len(run.params)


def test_the_digest_of_numbers_knows_neither_order_nor_repetition_and_infinity_as_mlflow_has_it() -> None:
    points = [(1, 0.5), (2, math.inf), (3, math.nan)]
    assert points_sha256(points) == points_sha256([(3, math.nan), (1, 0.5), (2, 1.7976931348623157e308), (1, 0.5)])
    assert points_sha256(points) != points_sha256([(1, 0.5000001), *points[1:]])


def test_a_manifest_goes_on_only_where_the_store_has_what_it_lists() -> None:
    first = Manifest()
    first.file("a.txt", "aa")
    first.metrics({"dice": 0.5}, 1)
    first.params({"seed": "0"})
    former = json.loads(first.text())
    again = Manifest.resumed(former, {"dice": [(1, 0.5)], "told later": [(1, 1.0)]}, {"seed": "0"})
    assert again is not None
    again.metrics({"dice": 0.75}, 2)
    listed = json.loads(again.text())
    assert listed["files"] == {"a.txt": "aa"}
    assert listed["metrics"] == {"dice": {"points": 2, "sha256": points_sha256([(1, 0.5), (2, 0.75)])}}
    for points, seed in (([(1, 0.4)], "0"), ([], "0"), ([(1, 0.5), (2, 0.6)], "0"), ([(1, 0.5)], "1")):
        assert Manifest.resumed(former, {"dice": points}, {"seed": seed}) is None


def test_a_run_is_found_by_its_id_its_beginning_and_its_name(store: str, run_id: str) -> None:
    runs = RunStore(store)
    assert runs.find(run_id) == runs.find(run_id[:10]) == run_id
    MlflowClient(store).set_tag(run_id, "mlflow.runName", f"called-{run_id}")
    assert runs.find(f"called-{run_id}") == run_id


def test_a_name_that_two_runs_have_is_refused_with_both(store: str, experiment: str) -> None:
    client = MlflowClient(store)
    where = client.get_experiment_by_name(experiment).experiment_id
    ids = [client.create_run(where, run_name="twins").info.run_id for _ in range(2)]
    with pytest.raises(InvalidOption) as caught:
        RunStore(store).find("twins")
    assert all(run_id[:8] in str(caught.value) for run_id in ids)


@pytest.mark.parametrize("text", ["no such run", "deadbeef", "it's"])
def test_a_run_that_is_not_there_is_told_with_what_to_do(store: str, text: str) -> None:
    with pytest.raises(InvalidOption, match="planar runs"):
        RunStore(store).find(text)


def test_a_sqlite_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(TrackingUnreachable, match="no such store"):
        RunStore(f"sqlite:///{tmp_path / 'none.db'}")
    assert not (tmp_path / "none.db").exists()


def test_the_latest_run_stands_first_and_an_experiment_that_is_not_there_is_told(store: str, experiment: str) -> None:
    client = MlflowClient(store)
    where = client.get_experiment_by_name(experiment).experiment_id
    ids = [client.create_run(where, start_time=1000 * (k + 1), tags={"kind": str(k)}).info.run_id for k in range(3)]
    runs = RunStore(store)
    assert [run.info.run_id for run in runs.runs(experiment)] == ids[::-1]
    assert [run.info.run_id for run in runs.runs(experiment, limit=1)] == ids[-1:]
    assert [run.info.run_id for run in runs.runs(experiment, tags={"kind": "1"})] == ids[1:2]
    with pytest.raises(InvalidOption, match="no experiment 'other'"):
        runs.runs("other")


@pytest.mark.parametrize(("tags", "step"), [({}, 2), ({"planar.keeps_last": "true"}, 3)])
def test_a_metric_of_the_weights_that_were_kept(tags: dict[str, str], step: int) -> None:
    points = tuple(Point(k, value, 0) for k, value in ((1, 0.4), (2, 0.8), (3, 0.7), (4, math.nan)))
    run = RunFacts("r", "", "", "FINISHED", 0, None, tags, {}, {"val_mean_dice": points})
    found = run.kept("val_mean_dice")
    assert found is not None and found.step == step
    assert run.kept("val_mean_iou") is None
