from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image
from tiny_engines import Training
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from pipeline.checkpoints import Checkpoints
from pipeline.handlers import Attached
from pipeline.history import History
from pipeline.overlays import PREDICTION, REFERENCE
from pipeline.report import training_pictures
from pipeline.report.curve_picture import draw_curves
from pipeline.report.training_pictures import TrainingPictures, case_sheet
from pipeline.tracking import RunRecorder, ValidationRecorder


def train(store: str, experiment: str, folder: Path, scores: list[float], **options: Any) -> RunRecorder:
    kept = Checkpoints(folder, {})
    recorder = RunRecorder(experiment, uri=store, checkpoints=kept)
    pictures = TrainingPictures(recorder, kept, str(folder / "history.csv"), cases=3)
    made = Training(
        max_epochs=len(scores),
        scores=scores,
        train_handlers=[Attached(kept), History(folder), recorder],
        val_handlers=[Attached(kept), ValidationRecorder(recorder, pictures)],
        **options,
    )
    kept.state["network"] = made.network
    made.trainer.run()
    return recorder


def pictures(store: str, recorder: RunRecorder) -> list[str]:
    found = MlflowClient(store).list_artifacts(str(recorder.run_id), "pictures")
    return sorted(Path(item.path).name for item in found)


def test_each_better_epoch_has_its_picture_and_the_curves_are_those_of_the_whole_training(
    store: str, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_pictures, "SHARE", 1e9)
    recorder = train(store, experiment, tmp_path, [0.5, 0.4, 0.6])
    assert pictures(store, recorder) == ["curves.png", "validation_epoch_0001.png", "validation_epoch_0003.png"]
    for name in ("curves.png", "validation_epoch_0003.png"):
        path = MlflowClient(store).download_artifacts(str(recorder.run_id), f"pictures/{name}")
        assert Path(path).stat().st_size < 100_000
    with Image.open(path) as sheet:
        assert sheet.size == (3 * training_pictures.SIDE, training_pictures.SIDE + 2 * training_pictures.TEXT)


def test_a_training_too_short_to_draw_all_the_time_has_the_first_and_the_best(
    store: str, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_pictures, "SHARE", 1e-9)
    recorder = train(store, experiment, tmp_path, [0.5, 0.6, 0.7, 0.6])
    assert pictures(store, recorder) == ["curves.png", "validation_epoch_0001.png", "validation_epoch_0003.png"]


def test_without_a_run_nothing_is_drawn_and_the_training_goes_on(
    store: str, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ignite.distributed.get_rank", lambda: 1)
    monkeypatch.setattr(TrainingPictures, "_draw", lambda _: pytest.fail("drawn"))
    assert train(store, experiment, tmp_path, [0.5]).run_id is None


def test_a_picture_that_cannot_be_drawn_ends_no_training(
    store: str, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_pictures, "case_sheet", lambda *_: 1 / 0)
    recorder = train(store, experiment, tmp_path, [0.5, 0.6])
    assert MlflowClient(store).get_run(str(recorder.run_id)).info.status == "FINISHED"


def test_a_sheet_shows_both_outlines_side_by_side() -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[10:20, 20:40] = 1
    image = np.random.default_rng(0).normal(size=(40, 60))
    sheet = case_sheet([("one", (image, mask, np.roll(mask, 10, 0))), ("two", (image, mask, mask))], "epoch 1")
    panels = np.asarray(sheet).reshape(sheet.height, 2, -1, 3)
    for number, both in ((0, True), (1, False)):
        red, blue = ((np.abs(panels[:, number].astype(int) - c).sum(-1) < 40).any() for c in (PREDICTION, REFERENCE))
        assert (red, blue) == (both, both)


def test_curves_bridge_epochs_without_validation_and_say_nothing_without_rows() -> None:
    assert draw_curves([]) is None
    rows = [
        {"epoch": float(n), "train_loss": 1 / n, "val_mean_dice": 0.5 if n % 2 else float("nan")} for n in (1, 2, 3)
    ]
    both = draw_curves(rows)
    loss = draw_curves([{"epoch": 1.0, "train_loss": 0.5}])
    assert both is not None
    assert loss is not None
    assert both.width == 2 * loss.width


def test_of_neighbouring_slices_the_one_between_them_is_shown() -> None:
    slices = torch.arange(5.0)[:, None, None].expand(5, 4, 3)
    assert (training_pictures._plain(slices, 2) == 2).all()
    assert (training_pictures._plain(slices[:3], 1) == 1).all()
    assert training_pictures._plain(slices[:3], None).shape == (4, 3, 3)  # colours
    assert training_pictures._plain(slices[:1], None).shape == (4, 3)


def test_of_several_processes_each_draws_its_own_cases_under_their_names(tmp_path: Path) -> None:
    cases = list(range(24))
    sampler = DistributedSampler(cases, num_replicas=2, rank=0, shuffle=False)
    loader = DataLoader(cases, sampler=sampler)
    recorder = SimpleNamespace(case_name=lambda part, number: f"{part} {number}")
    drawn = TrainingPictures(recorder, Checkpoints(tmp_path, {}), cases=3)
    drawn._choose(SimpleNamespace(state=SimpleNamespace(dataloader=loader)))
    assert [drawn._order[position] for position in drawn._wanted] == [4, 12, 20]
