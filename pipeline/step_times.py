"""The handler that finds out where the time of a training goes."""

from __future__ import annotations

import csv
import io
import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from pipeline.atomic import write_text_aside

if TYPE_CHECKING:
    from ignite.engine import Engine

__all__ = ["PHASES", "PhaseTime", "StepTimes", "read_step_times"]

# In the order in which a step has them; what comes after the steps is an epoch's.
STEP_PHASES = (
    "data", "copy and augmentation", "forward", "loss", "backward", "optimiser", "post-processing",
    "metrics and handlers",
)  # fmt: skip
PHASES = (*STEP_PHASES, "validation", "checkpoint", "end of epoch")


@dataclass(frozen=True)
class PhaseTime:
    """The time of one phase.

    Attributes:
        phase: One of `PHASES`.
        seconds: In all.
        share: Of the whole time between the first step's beginning and the last epoch's end.
        step_ms: Median of the steps, ms; None for what is no part of a step.
    """

    phase: str
    seconds: float
    share: float
    step_ms: float | None


class StepTimes:
    """Write `step_times.csv`: for each phase of a training its time in all and in a step.

    On a GPU each phase is waited for, so that its time is its own: the training is slower by what would have gone on
    at the same time. Put it behind all other handlers of the trainer. Between two of its events all time counts for the
    phase that ends; of the time of handlers, `Checkpoints` tells what writing took.

    Args:
        folder: Where the table is written, after each epoch.
        validator: The evaluator of the ValidationHandler; None without validation.
        checkpoints: `pipeline.checkpoints.Checkpoints`, or None.
    """

    def __init__(
        self, folder: str | os.PathLike[str], validator: Engine | None = None, checkpoints: Any = None
    ) -> None:
        self.path = Path(folder) / "step_times.csv"
        self.validator = validator
        self.checkpoints = checkpoints
        self.totals: Counter[str] = Counter()
        self.steps: defaultdict[str, list[float]] = defaultdict(list)
        self._step: Counter[str] = Counter()
        self._since = 0.0
        self._written = 0.0
        self._waits, self._device = False, None

    def attach(self, trainer: Any) -> None:
        """Attach to a MONAI trainer."""
        from ignite.engine import Events
        from monai.engines import IterationEvents

        self._device = trainer.state.device
        self._waits = getattr(self._device, "type", "") == "cuda"
        trainer.add_event_handler(Events.STARTED, lambda _: self._begin())
        ends = {
            Events.GET_BATCH_STARTED: "metrics and handlers",
            Events.GET_BATCH_COMPLETED: "data",
            IterationEvents.FORWARD_COMPLETED: "forward",
            IterationEvents.LOSS_COMPLETED: "loss",
            IterationEvents.BACKWARD_COMPLETED: "backward",
            IterationEvents.MODEL_COMPLETED: "post-processing",
        }
        for event, phase in ends.items():
            trainer.add_event_handler(event, lambda _, phase=phase: self._end(phase))
        trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda _: self._end_step())
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda _: self._end_epoch())
        prepare = trainer.prepare_batch

        def prepare_batch(*arguments: Any, **options: Any) -> Any:
            self._end("metrics and handlers")
            batch = prepare(*arguments, **options)
            self._end("copy and augmentation")
            return batch

        trainer.prepare_batch = prepare_batch
        trainer.optimizer.register_step_post_hook(lambda *_: self._end("optimiser"))
        if self.validator is not None:
            self.validator.add_event_handler(Events.STARTED, lambda _: self._end("end of epoch"))
            self.validator.add_event_handler(Events.COMPLETED, lambda _: self._end("validation"))

    @property
    def phases(self) -> list[PhaseTime]:
        """The times so far, in the order of `PHASES`."""
        whole = sum(self.totals.values())
        return [
            PhaseTime(
                phase,
                self.totals[phase],
                self.totals[phase] / whole if whole else 0.0,
                1000 * median(self.steps[phase]) if phase in STEP_PHASES and self.steps[phase] else None,
            )
            for phase in PHASES
        ]

    @property
    def metrics(self) -> Mapping[str, float]:
        """The same as metrics of a run: milliseconds of a step, and shares of the whole."""
        found = {f"profile_share_{_plain(one.phase)}": one.share for one in self.phases}
        return found | {f"profile_ms_{_plain(p.phase)}": p.step_ms for p in self.phases if p.step_ms is not None}

    def _begin(self) -> None:
        self.totals.clear()
        self.steps.clear()
        self._step.clear()
        self._since, self._written = time.perf_counter(), self._writing

    @property
    def _writing(self) -> float:
        return float(getattr(self.checkpoints, "seconds", 0.0))

    def _end(self, phase: str) -> None:
        """What has passed since the last end is this phase's, but for the writing of checkpoints."""
        if self._waits:
            import torch

            torch.cuda.synchronize(self._device)
        now, written = time.perf_counter(), self._writing
        wrote = written - self._written
        for name, seconds in ((phase, now - self._since - wrote), ("checkpoint", wrote)):
            self.totals[name] += seconds  # type: ignore[assignment]
            self._step[name] += seconds  # type: ignore[assignment]
        self._since, self._written = now, written

    def _end_step(self) -> None:
        self._end("metrics and handlers")
        for phase in STEP_PHASES:
            self.steps[phase].append(self._step[phase])
        self._step.clear()

    def _end_epoch(self) -> None:
        self._end("end of epoch")
        self._step.clear()
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["phase", "seconds", "share", "step_ms"])
        for one in self.phases:
            step = "" if one.step_ms is None else f"{one.step_ms:.4g}"
            writer.writerow([one.phase, f"{one.seconds:.4g}", f"{one.share:.4g}", step])
        write_text_aside(self.path, text.getvalue())


def read_step_times(path: str | os.PathLike[str]) -> list[PhaseTime]:
    """The table that `StepTimes` writes.

    Raises: ValueError: if a file is none.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            return [
                PhaseTime(
                    row["phase"],
                    float(row["seconds"]),
                    float(row["share"]),
                    float(row["step_ms"]) if row["step_ms"] else None,
                )
                for row in csv.DictReader(file)
            ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no table of step times ({error})") from error


def _plain(phase: str) -> str:
    return phase.replace(" ", "_").replace("-", "_")
