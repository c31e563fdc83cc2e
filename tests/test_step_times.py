"""Where the time of a training goes, on MONAI's own engines with known waits in them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.engines import IterationEvents
from tiny_engines import Training

from pipeline.checkpoints import Checkpoints
from pipeline.step_times import PHASES, StepTimes, read_step_times

WAIT_S = 1.0


class Clock:
    """Stands still but for the waits of these tests."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def slow(self, work: Any) -> Any:
        def waiting(*arguments: Any, **named: Any) -> Any:
            self.now += WAIT_S
            return work(*arguments, **named)

        return waiting


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in ("step_times", "checkpoints"):
        monkeypatch.setattr(f"pipeline.{module}.time", made)
    return made


def timed(training: Training, folder: Path, **options: Any) -> StepTimes:
    times = StepTimes(folder, training.validator, **options)
    times.attach(training.trainer)
    training.trainer.run()
    return times


def longest(times: StepTimes) -> str:
    return max(times.phases, key=lambda one: one.seconds).phase


def test_all_time_is_somewhere(tmp_path: Path, clock: Clock) -> None:
    training = Training(max_epochs=2)
    training.network.register_forward_pre_hook(clock.slow(lambda *_: None))
    training.trainer.add_event_handler(IterationEvents.MODEL_COMPLETED, clock.slow(lambda _: None))
    times = timed(training, tmp_path)
    assert sum(one.seconds for one in times.phases) == clock.now > 0
    assert sum(one.share for one in times.phases) == pytest.approx(1.0)
    assert [one.phase for one in times.phases] == list(PHASES)


@pytest.mark.parametrize(
    "phase", ["copy and augmentation", "forward", "loss", "backward", "optimiser", "post-processing", "validation"]
)
def test_a_wait_is_found_where_it_is(tmp_path: Path, clock: Clock, phase: str) -> None:
    training = Training(max_epochs=2)
    trainer = training.trainer
    if phase == "copy and augmentation":
        trainer.prepare_batch = clock.slow(trainer.prepare_batch)
    elif phase == "forward":
        wait = clock.slow(lambda *_: None)
        training.network.register_forward_pre_hook(lambda network, _: wait() if network.training else None)
    elif phase == "loss":
        trainer.loss_function = clock.slow(trainer.loss_function)
    elif phase == "backward":
        training.network.weight.register_hook(clock.slow(lambda gradient: gradient))
    elif phase == "optimiser":
        training.optimizer.register_step_pre_hook(clock.slow(lambda *_: None))
    elif phase == "post-processing":
        trainer.add_event_handler(IterationEvents.MODEL_COMPLETED, clock.slow(lambda _: None))
    else:
        training.validator.add_event_handler(Events.EPOCH_STARTED, clock.slow(lambda _: None))
    assert longest(timed(training, tmp_path)) == phase


def test_waiting_for_data_and_for_checkpoints_is_told(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowLoader:
        def __iter__(self) -> Any:
            for _ in range(2):
                clock.now += WAIT_S
                yield {"image": torch.zeros(2, 1, 6, 6), "label": torch.ones(2, 3, 6, 6)}

        def __len__(self) -> int:
            return 2

    training = Training(max_epochs=1)
    training.trainer.data_loader = SlowLoader()
    assert longest(timed(training, tmp_path)) == "data"

    training = Training(max_epochs=1)
    kept = Checkpoints(tmp_path, {"network": training.network})
    kept.attach(training.trainer)
    kept.attach(training.validator)
    monkeypatch.setattr("pipeline.checkpoints.save_aside", clock.slow(lambda content, path: None))
    times = timed(training, tmp_path, checkpoints=kept)
    assert longest(times) == "checkpoint"
    assert kept.seconds >= 2 * WAIT_S  # the best and the last


def test_the_table_has_a_row_for_each_phase_and_the_metrics_the_same_numbers(tmp_path: Path, clock: Clock) -> None:
    training = Training(max_epochs=1)
    training.network.register_forward_pre_hook(clock.slow(lambda *_: None))
    times = timed(training, tmp_path)
    with (tmp_path / "step_times.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["phase"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(PHASES)
    assert float(rows["forward"]["step_ms"]) == pytest.approx(times.metrics["profile_ms_forward"], rel=1e-3)
    assert float(rows["validation"]["share"]) == pytest.approx(times.metrics["profile_share_validation"], rel=1e-3)
    assert rows["validation"]["step_ms"] == ""
    again = {one.phase: one for one in read_step_times(tmp_path / "step_times.csv")}
    assert again["validation"].step_ms is None
    assert again["forward"].step_ms == pytest.approx(times.metrics["profile_ms_forward"], rel=1e-3)
    assert len(times.steps["forward"]) == 2


@pytest.mark.parametrize("text", ["nothing,of,this\n1,2,3\n", "phase,seconds,share,step_ms\ndata,much,0.1,\n"])
def test_a_table_that_is_none_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "step_times.csv").write_text(text)
    with pytest.raises(ValueError, match=r"step_times\.csv is no table of step times"):
        read_step_times(tmp_path / "step_times.csv")
