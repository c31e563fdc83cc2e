"""The handler that keeps the time of a training, and how many epochs fit into a budget by it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

__all__ = ["WallClock", "epochs_that_fit"]

LATEST_STEPS = 5
# Of the budget, what the fitted epochs may take: the schedule must come to its end before the deadline cuts it off.
USED_SHARE = 0.97


class WallClock:
    """Ignite handler for a trainer: notes when epochs end, and ends the training in time.

    Args:
        deadline: Seconds since 1970 at which the training must have ended.
        enough_epochs: Epochs after which it may end (for measuring an epoch), or None to go on to the end.
        enough_seconds: Time since the first epoch after which it may end as well, however few they are.
    """

    def __init__(self, deadline: float, enough_epochs: int | None = None, enough_seconds: float = 0.0) -> None:
        self.deadline = deadline
        self.enough_epochs = enough_epochs
        self.enough_seconds = enough_seconds
        self.epoch_ends: list[float] = []
        self.steps = 0
        self.ended = 0.0
        self.stopped = False
        self._last = 0.0
        self._steps: deque[float] = deque(maxlen=LATEST_STEPS)

    def attach(self, engine: Any) -> None:
        """Attach to a trainer, behind its other handlers: an epoch ends when it was validated and written."""
        from ignite.engine import Events

        engine.add_event_handler(Events.ITERATION_COMPLETED, self._step)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch)

    def _step(self, engine: Any) -> None:
        now = time.time()
        if self._last:
            self._steps.append(now - self._last)
        self.ended = self._last = now
        self.steps = engine.state.iteration
        self._stop_if_late(engine)

    def _epoch(self, engine: Any) -> None:
        self.epoch_ends.append(time.time())
        self.ended = self._last = self.epoch_ends[-1]  # a validation is no step
        done = len(self.epoch_ends) - 1
        if self.enough_epochs is not None and done >= 1:
            since = self.epoch_ends[-1] - self.epoch_ends[0]
            if done >= self.enough_epochs or since >= self.enough_seconds:
                self.stopped = True
                engine.terminate()
                return
        self._stop_if_late(engine)

    def _stop_if_late(self, engine: Any) -> None:
        # A step that is begun is finished: none is begun that would end too late by the longest of the last ones.
        if time.time() + max(self._steps, default=0.0) > self.deadline:
            self.stopped = True
            engine.terminate()


def epochs_that_fit(began: float, epoch_ends: Sequence[float], interval: int, budget_s: float) -> int:
    """How many epochs a training may have, by the times of a short one.

    Args:
        began: When that process was started, s.
        epoch_ends: When its epochs ended, at least two, s.
        interval: Epochs from validation to validation; the last epoch is validated.
        budget_s: Wall clock from the start of the process, s.
    """
    ends = list(epoch_ends)
    # Whole cycles where there is one: every so many epochs one costs a validation more.
    cycles = (len(ends) - 1) // interval * interval
    used = ends[-1 - cycles :] if cycles else ends
    an_epoch = (used[-1] - used[0]) / (len(used) - 1)
    start = ends[0] - began - an_epoch
    fitting = int((USED_SHARE * budget_s - max(start, 0.0)) / an_epoch)
    return max(interval, fitting - fitting % interval)
