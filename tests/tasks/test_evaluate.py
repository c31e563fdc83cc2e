"""Scoring a bundle on a few small phantom films: what lies in the folder, and when nothing does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ignite.engine import Engine, Events
from mlflow import MlflowClient
from PIL import Image

from pipeline.bundle import Bundle
from pipeline.errors import IncompleteResult, InvalidOption, OutputExists, user_error_within
from pipeline.metrics import read_evaluation
from pipeline.tasks.evaluate import EvaluationResult, evaluate

SMALL = ("image_size=[64, 64]",)
FILES = {"cases.csv", "metrics.json", "confusion.csv", "calibration.csv", "masks"}


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def score(bundle: Bundle, datalist: Path, out: Path, *more: str, **options: object) -> EvaluationResult:
    return evaluate(str(bundle.root), datalist, "test", out, (*SMALL, *more), **{"tracking": False, **options})


def test_the_folder_holds_tables_and_masks_that_agree(
    random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path
) -> None:
    result = score(random_bundle, phantom_datalist, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    found = read_evaluation(tmp_path / "out")
    items = json.loads(phantom_datalist.read_text())["test"]
    assert found.cases["image"].tolist() == [item["image"] for item in items]
    assert found.cases["image_sha256"].tolist() == [item["image_sha256"] for item in items]
    assert (result.cases, result.subjects) == (len(items), len({item["subject"] for item in items}))
    assert result.summary == found.record["summary"]
    assert result.faults == ()
    for row in found.cases.to_dict("records"):
        with Image.open(tmp_path / "out" / row["mask"]) as picture:
            mask = np.asarray(picture)
        with Image.open(phantom_datalist.parent / row["image"]) as film:
            assert mask.shape == film.size[::-1]
        assert int((mask == 1).sum()) == row["predicted_pixels"]
    assert found.confusion.loc["lung"].sum() == found.cases["reference_pixels"].sum()
    assert found.confusion["lung"].sum() == found.cases["predicted_pixels"].sum()
    assert found.record["bundle"] == random_bundle.name
    assert found.record["data"] == json.loads(phantom_datalist.read_text())["name"]
    for name in FILES - {"masks"}:
        assert str(tmp_path.parent) not in (tmp_path / "out" / name).read_text()


@pytest.mark.slow
def test_the_stock_command_writes_the_same_bytes(random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path) -> None:
    score(random_bundle, phantom_datalist, tmp_path / "ours")
    command = [sys.executable, "-m", "monai.bundle", "run"]
    command += ["--config_file", str(random_bundle.root / "configs" / "evaluate.yaml")]
    command += ["--bundle_root", str(random_bundle.root), "--datalist", str(phantom_datalist)]
    command += ["--output_dir", str(tmp_path / "stock"), "--image_size", "[64, 64]"]
    # As many threads as the tests have: sums over pixels are rounded by how they are shared out.
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    files = [path.relative_to(tmp_path / "ours") for path in (tmp_path / "ours").rglob("*") if path.is_file()]
    assert len(files) == len(FILES) - 1 + len(read_evaluation(tmp_path / "ours").cases)
    for name in files:
        assert (tmp_path / "stock" / name).read_bytes() == (tmp_path / "ours" / name).read_bytes(), name


def test_masks_can_be_left_out_and_an_evaluation_replaced_on_demand(
    random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path
) -> None:
    score(random_bundle, phantom_datalist, tmp_path / "out")
    with pytest.raises(OutputExists, match="--overwrite"):
        score(random_bundle, phantom_datalist, tmp_path / "out")
    score(random_bundle, phantom_datalist, tmp_path / "out", masks=False, overwrite=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES - {"masks"}


def test_the_tolerance_of_the_surface_dice_can_be_set(
    random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path
) -> None:
    shares = []
    for tolerance in (0.5, 40.0):
        out = tmp_path / str(tolerance)
        settings = (f"nsd_tolerance#mm={tolerance}", f"nsd_tolerance#px={tolerance}")
        result = score(random_bundle, phantom_datalist, out, *settings)
        shares.append(result.summary["lung"]["per_image"]["nsd"]["mean"])
        assert f"{tolerance:g} px" in result.record["rules"]["tolerance"]
    assert shares[0] < shares[1]


@pytest.mark.parametrize(("setting", "option"), [("save_masks=false", "--no-masks"), ("overwrite=true", "--overwrite")])
def test_what_has_an_option_is_not_set_as_a_key(
    setting: str, option: str, random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidOption, match=f"is set by {option}"):
        score(random_bundle, phantom_datalist, tmp_path / "out", setting)


class Trap:
    """Ends an evaluation in its second case."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), self.spring)

    def spring(self, engine: Engine) -> None:
        if self.error is None:
            engine.terminate()
        else:
            raise self.error


@pytest.mark.parametrize("error", [ZeroDivisionError("the trap"), KeyboardInterrupt(), None])
def test_an_evaluation_that_ends_in_the_middle_leaves_nothing(
    error: BaseException | None, random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path
) -> None:
    with pytest.raises(BaseException) as caught:
        score(random_bundle, phantom_datalist, tmp_path / "out", handlers=[Trap(error)])
    if error is None:
        assert isinstance(user_error_within(caught.value), IncompleteResult)
    else:
        assert error in (caught.value, caught.value.__cause__)  # MONAI wraps what is no Ctrl-C
    assert not (tmp_path / "out").exists()


def test_a_failed_evaluation_leaves_the_former_one_as_it_was(
    random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path
) -> None:
    score(random_bundle, phantom_datalist, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    with pytest.raises(RuntimeError):
        score(random_bundle, phantom_datalist, tmp_path / "out", overwrite=True, handlers=[Trap(ZeroDivisionError())])
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_the_mlflow_run_has_every_metric_of_every_class(
    random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f"sqlite:///{tmp_path / 'mlruns.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    result = score(random_bundle, phantom_datalist, tmp_path / "out", tracking=True)
    run = MlflowClient(store).get_run(result.run_id)
    figures = result.summary["lung"]["per_image"]
    for metric in result.record["metrics"]:
        assert run.data.metrics[f"{metric}_lung"] == pytest.approx(figures[metric]["mean"], abs=1e-6), metric


def test_the_summary_on_screen_has_units_intervals_and_places(
    random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipeline.cli import main

    arguments = ["evaluate", str(random_bundle.root), *SMALL, "--data", str(phantom_datalist), "--no-tracking"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "-o", str(tmp_path / "out")])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line.rstrip()) <= 80 for line in lines if "…" not in line and "out" not in line), lines
    record = read_evaluation(tmp_path / "out").record
    dice = record["summary"]["lung"]["per_subject"]["dice"]
    interval = f"{dice['mean']:.3f} [{dice['ci_low']:.3f}, {dice['ci_high']:.3f}]"
    assert any(line.startswith("Dice") and interval in line for line in lines)
    assert any(line.startswith(f"95 % Hausdorff, {record['distance_unit']}") for line in lines)
    assert any(line.startswith("Results: ") and "masks" in line for line in lines)
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "-o", str(tmp_path / "out")])
    assert ended.value.code == 1
    assert "--overwrite" in capsys.readouterr().err


def test_ctrl_c_leaves_nothing_of_an_evaluation_that_is_recorded(
    random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'runs.db'}")

    class Stop:
        def attach(self, engine: Engine) -> None:
            engine.add_event_handler(Events.ITERATION_COMPLETED, self.stop)

        def stop(self, engine: Engine) -> None:
            raise KeyboardInterrupt

    kept = tmp_path / "out" / "config_of_an_earlier_one.json"
    for there in (False, True):
        if there:
            kept.parent.mkdir()
            kept.write_text("{}")
        with pytest.raises(KeyboardInterrupt):
            score(random_bundle, phantom_datalist, tmp_path / "out", tracking=True, handlers=[Stop()])
        assert [path.name for path in tmp_path.glob("out/*")] == [kept.name] * there
        assert (tmp_path / "out").exists() is there
