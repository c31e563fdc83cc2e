from __future__ import annotations

import pytest
from ignite.engine import Engine, Events

from benchmarks.planar import clock
from benchmarks.planar.clock import WallClock, epochs_that_fit


class Time:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Time:
    passing = Time()
    monkeypatch.setattr(clock, "time", passing)
    return passing


def trainer(passing: Time, watch: WallClock, step_s: float, validation_s: float = 0.0) -> Engine:
    def step(engine: Engine, batch: int) -> None:
        passing.now += step_s

    engine = Engine(step)

    @engine.on(Events.EPOCH_COMPLETED)
    def validate(engine: Engine) -> None:
        passing.now += validation_s

    watch.attach(engine)
    return engine


def test_no_step_is_begun_that_would_end_behind_the_deadline(passing: Time) -> None:
    watch = WallClock(deadline=1000 + 95)
    trainer(passing, watch, step_s=10).run([0, 1, 2, 3], max_epochs=100)
    assert watch.stopped
    assert watch.steps == 9
    assert watch.ended == 1090


def test_a_validation_does_not_count_as_a_long_step(passing: Time) -> None:
    watch = WallClock(deadline=1000 + 165)
    trainer(passing, watch, step_s=10, validation_s=30).run([0, 1], max_epochs=100)
    # Three epochs of 20 s and 30 s, and one step more.
    assert watch.epoch_ends == [1050, 1100, 1150]
    assert watch.steps == 7
    assert watch.ended == 1160


def test_a_training_that_ends_in_time_is_not_stopped(passing: Time) -> None:
    watch = WallClock(deadline=5000)
    trainer(passing, watch, step_s=10).run([0, 1], max_epochs=3)
    assert not watch.stopped
    assert watch.epoch_ends == [1020, 1040, 1060]


def test_measuring_ends_after_enough_epochs_or_enough_time(passing: Time) -> None:
    by_epochs = WallClock(deadline=9000, enough_epochs=4, enough_seconds=1000)
    trainer(passing, by_epochs, step_s=10).run([0, 1], max_epochs=100)
    assert len(by_epochs.epoch_ends) == 5
    by_time = WallClock(deadline=9000, enough_epochs=4, enough_seconds=30)
    trainer(passing, by_time, step_s=10).run([0, 1], max_epochs=100)
    assert len(by_time.epoch_ends) == 3


def test_epochs_fill_the_budget_and_end_with_a_validation() -> None:
    # 15 s before the first step; epochs of 10 s, every second one 4 s longer for its validation.
    ends = [25, 39, 49, 63, 73]
    epochs = epochs_that_fit(0, ends, 2, 600)
    assert epochs % 2 == 0
    took = 15 + 12 * epochs
    assert 600 * 0.97 - 24 < took <= 600 * 0.97


def test_there_is_at_least_one_validation() -> None:
    assert epochs_that_fit(0, [50, 100], 5, 60) == 5
