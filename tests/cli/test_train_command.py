"""`planar train` in folds and `planar find-best`: what the command line itself says."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipeline.bundle import Bundle
from pipeline.cli import find_best, merge, train
from pipeline.errors import InvalidOption
from pipeline.tasks.folds import CrossValidation, FoldsRecord, FoldState
from pipeline.tasks.folds.table import Table
from pipeline.tasks.train import TrainingResult


def run(command: click.Command, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value or 0), result.output


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (train.command, ("--folds", "--fold K", "--resume", "planar find-best")),
        (find_best.command, ("--single", "--holdout", "--half", "beyond")),
        (merge.command, ("--split", "--folds", "Join DATALISTS")),
    ],
)
def test_the_help_page_says_what_there_is(command: click.Command, words: tuple[str, ...]) -> None:
    text = CliRunner().invoke(command, ["--help"]).output
    for word in words:
        assert word in text


def test_one_fold_needs_to_know_of_how_many(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="give --folds with it"):
        run(train.command, "cxr_lung_segmentation", "--data", "datalist.json", "--fold", "1")


def test_a_training_needs_a_datalist() -> None:
    with pytest.raises(click.UsageError, match="Missing option '--data'"):
        run(train.command, "cxr_lung_segmentation")


def state(fold: int, dice: float | None) -> FoldState:
    scores = {"lung": dice, "mean_of_classes": dice} if dice is not None else None
    return FoldState(fold, 20, 10, 8, 0.91, 6, 90.0, None, scores)


@pytest.mark.parametrize("done", [True, False])
def test_each_fold_has_a_line_and_what_is_left_is_told(
    done: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = FoldsRecord(tmp_path, "lungs", 2, 0, "films", "a" * 64)
    states = (state(0, 0.92), state(1, 0.94)) if done else (state(0, 0.92),)
    figures = {"per_image": {"dice": {"mean": 0.93}}, "per_subject": {"dice": {"mean": 0.92}}}
    table = Table({"lung": figures, "mean_of_classes": figures}, 20, 15) if done else None

    def trained(*arguments: object, on_fold: object, **options: object) -> CrossValidation:
        for each in states:
            on_fold(each)  # type: ignore[operator]
        return CrossValidation(record, states, table, 180.0, None, ("a note",))

    monkeypatch.setattr("pipeline.tasks.folds.train_folds", trained)
    status, text = run(train.command, "lungs", "--data", "datalist.json", "--folds", "2", "-o", str(tmp_path))
    assert status == 0
    assert "Fold 0: 20 images to train, 10 of its own; validation Dice 0.9100 at epoch 6 of 8" in text
    assert "out of fold Dice 0.9200 at full size (1.5 min)" in text
    assert "Note: a note" in text
    if done:
        assert "Out of fold: 20 images of 15 subjects" in text
        assert "Dice 0.9300  [0.9200]" in text
        assert f"planar find-best {tmp_path} -o" in text
    else:
        assert f"1 of 2 are left: planar train --resume {tmp_path}" in text


def datalist(folder: Path, *parts: str) -> Path:
    """A datalist with a case in each of these parts and in that of the training."""
    items = {part: [{"image": f"{part}.png", "label": f"{part}_mask.png"}] for part in ("training", *parts)}
    path = folder / "datalist.json"
    path.write_text(json.dumps({"name": "films", "labels": {"0": "background", "1": "lung"}, **items}))
    return path


@pytest.mark.parametrize(("best", "warned"), [(0.0, True), (0.004, True), (0.6, False)])
def test_a_training_that_found_nothing_is_pointed_out(
    best: float, warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = TrainingResult(Bundle(tmp_path, "lungs"), best, 3, False, 5, 60.0, None, ())
    monkeypatch.setattr("pipeline.tasks.train.train", lambda *arguments, **options: result)
    status, text = run(train.command, "lungs", "--data", str(datalist(tmp_path, "test")), "--recipe", "drishti")
    assert status == 0
    assert ("Warning: in validation the network found hardly anything" in text) is warned


@pytest.mark.parametrize(("parts", "scored"), [(("validation", "test"), "test"), (("validation",), "validation")])
def test_the_next_command_scores_a_part_that_there_is(
    parts: tuple[str, ...], scored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = TrainingResult(Bundle(tmp_path, "lungs"), 0.9, 3, False, 5, 60.0, None, ())
    monkeypatch.setattr("pipeline.tasks.train.train", lambda *arguments, **options: result)
    path = datalist(tmp_path, *parts)
    status, text = run(train.command, "lungs", "--data", str(path))
    assert status == 0
    assert f"--data {path} --split {scored}\n" in text


@pytest.mark.parametrize(
    ("before", "told"),
    [(0, "Trained 5 epochs in 0.8 min; best"), (4, "Trained 1 epoch in 0.8 min, 5 with those before; best")],
)
def test_the_time_is_that_of_the_epochs_that_are_told_with_it(
    before: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = TrainingResult(Bundle(tmp_path, "lungs"), 0.9, 3, False, 5, 48.0, None, (), epochs_before=before)
    monkeypatch.setattr("pipeline.tasks.train.train", lambda *arguments, **options: result)
    status, text = run(train.command, "lungs", "--data", str(datalist(tmp_path, "test")))
    assert status == 0
    assert f"{told} validation Dice 0.9000 at epoch 3." in text


def test_a_fold_that_found_nothing_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = (state(0, 0.9), FoldState(1, 20, 10, 8, 0.0, 1, 90.0, None, None))
    result = CrossValidation(FoldsRecord(tmp_path, "lungs", 2, 0, "films", "a" * 64), states, None, 1.0, None, ())
    monkeypatch.setattr("pipeline.tasks.folds.train_folds", lambda *arguments, **options: result)
    _, text = run(train.command, "lungs", "--data", "datalist.json", "--folds", "2")
    assert "Warning: fold 1: in validation the network found hardly anything" in text
