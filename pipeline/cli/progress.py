"""Progress bars on stderr, with rate and time left; silent where stderr is no terminal but for a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

__all__ = ["Bars", "EngineProgress", "RateColumn", "progress_bar", "progress_in_turn", "stage_bars"]


class RateColumn(ProgressColumn):
    """Things a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """The rate, or a dash before there is one."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} {self.unit}/s" if speed else f"– {self.unit}/s", style="progress.data.speed")


class Bars(Progress):
    """Bars on stderr that are gone when they are stopped."""

    def __init__(self, *columns: ProgressColumn) -> None:
        super().__init__(*columns, console=Console(file=sys.stderr), transient=True)

    def stop(self) -> None:
        """Remove the bars. rich would leave an empty line where they cannot be drawn, also if they never were."""
        self.live.stop()


def progress_bar(unit: str) -> Progress:
    """A bar for a number of things that is known."""
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(unit),
        TimeRemainingColumn(),
    )


@contextmanager
def stage_bars(unit: str) -> Iterator[Callable[[str, int, int], None]]:
    """One bar a stage: a function to be told of the stage, the number of things done, and of all."""
    bar = progress_bar(unit)
    stages: dict[str, Any] = {}

    def show(stage: str, done: int, total: int) -> None:
        if stage not in stages:
            stages[stage] = bar.add_task(stage, total=total)
            bar.start()
        bar.update(stages[stage], completed=done)

    try:
        yield show
    finally:
        if stages:  # a bar that was never drawn would leave an empty line
            bar.stop()


@contextmanager
def progress_in_turn(unit: str, says: str) -> Iterator[Callable[[int], Callable[[], None]]]:
    """A bar that is gone when it is full, so that lines may follow: a function to be told of the number of things.

    What that returns is called after each of them.
    """
    bar = progress_bar(unit)
    shown = False

    def begin(total: int) -> Callable[[], None]:
        nonlocal shown
        task, shown = bar.add_task(says, total=total), total > 0
        if shown:
            bar.start()

        def advance() -> None:
            nonlocal shown
            bar.advance(task)
            if shown and bar.finished:
                shown = False
                bar.stop()

        return advance

    try:
        yield begin
    finally:
        if shown:
            bar.stop()


class EngineProgress:
    """Ignite handler: one bar over all the epochs of a training, or over the cases of an evaluation.

    Args:
        unit: What an engine's iteration is called.
        title: What stands before all else, such as the fold.
    """

    def __init__(self, unit: str = "batches", title: str = "") -> None:
        self.unit = unit
        self.title = f"{title}  " if title else ""
        self.bar = progress_bar(unit)
        self.task: Any = None
        self.last_line = 0.0
        self.evaluates = False

    def attach(self, engine: Any) -> None:
        """Attach to a trainer or an evaluator."""
        from ignite.engine import Events
        from monai.engines import Evaluator

        self.evaluates = isinstance(engine, Evaluator)
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._advance)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch)
        engine.add_event_handler(Events.COMPLETED, lambda _: self.stop())

    def stop(self) -> None:
        """Remove the bar; also after an error."""
        self.bar.stop()

    def _start(self, engine: Any) -> None:
        state = engine.state
        total = state.epoch_length * state.max_epochs
        self.task = self.bar.add_task(self._says(engine), total=total, completed=state.iteration)
        self.bar.start()

    def _advance(self, engine: Any) -> None:
        self.bar.update(self.task, completed=engine.state.iteration, description=self._says(engine))

    def _epoch(self, engine: Any) -> None:
        # Where a bar cannot be drawn (a log file, a CI), a line every half minute says that it is alive.
        if not self.bar.console.is_terminal and time.monotonic() - self.last_line > 30:
            self.last_line = time.monotonic()
            self.bar.console.print(self._says(engine))

    def _says(self, engine: Any) -> str:
        state = engine.state
        if self.evaluates:
            return f"{self.title}Evaluating"
        best = getattr(state, "best_validation", None)  # `Checkpoints` puts it there
        said = f"{self.title}Epoch {max(state.epoch, 1)}/{state.max_epochs}"
        return said + (f"  best Dice {best:.3f}" if best else "")
