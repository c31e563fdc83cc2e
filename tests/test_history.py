from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.handlers import CheckpointLoader, ValidationHandler
from tiny_engines import Training

from pipeline import history as history_module
from pipeline.checkpoints import Checkpoints
from pipeline.errors import InvalidBundle
from pipeline.history import History, read_history

LABELS = {0: "background", 1: "lung, left", 2: "heart"}


def training(folder: Path, scores: list[float], *, resume: bool = False, **options: Any) -> tuple[Training, History]:
    """A training with the handlers in the order of a bundle's config."""
    made = Training(max_epochs=options.pop("max_epochs", len(scores)), scores=scores, **options)
    parts = {"network": made.network, "optimizer": made.optimizer, "lr_scheduler": made.lr_scheduler}
    kept = Checkpoints(folder, parts)
    if resume:
        CheckpointLoader(str(folder / "last.pt"), kept.state, map_location="cpu").attach(made.trainer)
    kept.attach(made.validator)
    kept.attach(made.trainer)
    history = History(folder, made.validator, LABELS)
    history.attach(made.trainer)
    return made, history


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_each_epoch_is_a_row_with_loss_rate_and_scores_by_class(tmp_path: Path) -> None:
    made, history = training(tmp_path, [0.5, 0.6, 0.7])
    losses: list[float] = []
    made.trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: losses.append(float(engine.state.output[0]["loss"]))
    )
    made.trainer.run()
    rows = read_history(history.path)
    assert [*rows[0]] == [
        "epoch",
        "train_loss",
        "val_mean_dice",
        "val_mean_dice_lung, left",
        "val_mean_dice_heart",
        "learning_rate",
        "seconds",
    ]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["val_mean_dice"] for row in rows] == [0.5, 0.6, 0.7]
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.1, 0.05, 0.025])
    two_batches_an_epoch = [sum(losses[k : k + 2]) / 2 for k in (0, 2, 4)]
    assert [row["train_loss"] for row in rows] == pytest.approx(two_batches_an_epoch, rel=1e-5)
    details = made.validator.state.metric_details["val_mean_dice"]
    assert [rows[2]["val_mean_dice_lung, left"], rows[2]["val_mean_dice_heart"]] == pytest.approx(
        torch.nanmean(details, dim=0).tolist(), rel=1e-5
    )
    assert all(row["seconds"] > 0 for row in rows)


def test_an_epoch_without_validation_has_empty_cells(tmp_path: Path) -> None:
    made, validator = Training(max_epochs=2), Training(scores=[0.5]).validator
    ValidationHandler(validator=validator, interval=2).attach(made.trainer)
    history = History(tmp_path, validator, LABELS)
    history.attach(made.trainer)
    made.trainer.run()
    first, second = cells(history.path)
    assert (first["val_mean_dice"], second["val_mean_dice"]) == ("", "0.5")
    assert first["train_loss"] != ""
    assert math.isnan(read_history(history.path)[0]["val_mean_dice"])


def test_a_resumed_training_replaces_the_rows_behind_its_checkpoint_and_keeps_the_others(tmp_path: Path) -> None:
    training(tmp_path, [0.1, 0.2])[0].trainer.run()
    before = cells(tmp_path / "history.csv")
    # As after an interruption in the third epoch, of which there is a row and no checkpoint.
    with (tmp_path / "history.csv").open("a") as file:
        file.write("3,9,0.9,0.9,0.9,0.1,1\n")
    training(tmp_path, [0.3, 0.4], resume=True, max_epochs=4)[0].trainer.run()
    after = cells(tmp_path / "history.csv")
    assert after[:2] == before
    assert [(row["epoch"], row["val_mean_dice"]) for row in after[2:]] == [("3", "0.3"), ("4", "0.4")]


def test_a_training_from_the_beginning_forgets_the_rows_of_another(tmp_path: Path) -> None:
    training(tmp_path, [0.1, 0.2, 0.3])[0].trainer.run()
    training(tmp_path, [0.7])[0].trainer.run()
    assert [row["val_mean_dice"] for row in read_history(tmp_path / "history.csv")] == [0.7]


def test_a_history_that_cannot_be_read_does_not_end_the_training(tmp_path: Path) -> None:
    training(tmp_path, [0.1])[0].trainer.run()
    (tmp_path / "history.csv").write_bytes(b"\xff\xfe\x00nothing")
    training(tmp_path, [0.3], resume=True, max_epochs=2)[0].trainer.run()
    assert [row["epoch"] for row in read_history(tmp_path / "history.csv")] == [2]


def test_the_file_is_whole_after_each_epoch_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    made, history = training(tmp_path, [0.1, 0.2])
    seen: list[int] = []
    made.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda _: seen.append(len(read_history(history.path))))
    made.trainer.run()
    assert seen == [1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.csv", "last.pt", "model.pt"]


def test_a_validation_behind_the_handler_still_comes_into_its_row(tmp_path: Path) -> None:
    made, validator = Training(max_epochs=2), Training(scores=[0.4, 0.5]).validator
    history = History(tmp_path, validator, LABELS)
    history.attach(made.trainer)
    ValidationHandler(validator=validator, interval=1).attach(made.trainer)
    made.trainer.run()
    assert [row["val_mean_dice"] for row in read_history(history.path)] == [0.4, 0.5]


def test_only_the_first_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ignite.distributed as idist

    made = Training(max_epochs=1)
    History(tmp_path, made.validator, LABELS).attach(made.trainer)
    monkeypatch.setattr(idist, "get_rank", lambda: 1)
    made.trainer.run()
    assert not list(tmp_path.iterdir())


def test_the_loss_is_the_mean_over_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ignite.distributed as idist

    made = Training(max_epochs=1)
    history = History(tmp_path, made.validator, LABELS)
    history.attach(made.trainer)
    own: list[float] = []
    made.trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: own.append(float(engine.state.output[0]["loss"]))
    )
    # Another process with two batches of loss 10 each.
    monkeypatch.setattr(idist, "all_reduce", lambda value: value + (2 if value == 2 else 20))
    made.trainer.run()
    assert read_history(history.path)[0]["train_loss"] == pytest.approx((sum(own) + 20) / 4, rel=1e-5)


@pytest.mark.parametrize(
    "text", ["a,b\n1,2\n", "epoch,train_loss\n,1\n", "epoch,train_loss\none,2\n", "epoch\n1,2\n", "epoch,x\n1\n"]
)
def test_what_is_no_history_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "history.csv"
    file.write_text(text)
    with pytest.raises(InvalidBundle, match=r"history\.csv: is no history of a training .*expected a table"):
        read_history(file)


def test_reading_a_history_imports_nothing_heavy() -> None:
    names = set(vars(history_module))
    assert not names & {"torch", "ignite", "monai", "Events", "idist"}
