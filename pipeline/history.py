"""The handler that writes down how a training went, one row an epoch."""

from __future__ import annotations

import csv
import io
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.atomic import write_text_aside
from pipeline.errors import InvalidBundle

if TYPE_CHECKING:
    from ignite.engine import Engine

__all__ = ["History", "read_history", "scores_by_class"]

Row = dict[str, float]

# Columns that stand first and last; the scores are between them.
FIRST = ("epoch", "train_loss")
LAST = ("learning_rate", "seconds")


class History:
    """Write `history.csv`: loss, learning rate, duration and the scores of each epoch.

    A row has what MONAI's engines came to in that epoch: the trainer's metrics, the validator's, and each of these by
    class ("val_mean_dice_lung"). A cell is empty where there was no validation. The file is whole after each epoch. A
    training that is resumed keeps the rows of the epochs that its checkpoint has behind it. Of several processes the
    first one writes; the loss is the mean over all.

    Put it into the `handlers` of the trainer, behind the ValidationHandler.

    Args:
        folder: Where `history.csv` is written.
        validator: The evaluator of the ValidationHandler; None without validation.
        labels: Class index → name; index 0 is background. Without them the scores are not told by class.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        validator: Engine | None = None,
        labels: Mapping[int, str] | None = None,
    ) -> None:
        self.path = Path(folder) / "history.csv"
        self.validator = validator
        self.labels = {int(index): str(name) for index, name in (labels or {}).items() if int(index) != 0}
        self.rows: dict[int, Row] = {}
        self._trainer: Engine | None = None
        self._taken_up = False
        self._began = 0.0
        self._learning_rate = math.nan
        self._losses: list[Any] = []

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer; the validator that was given is followed too."""
        from ignite.engine import Events

        self._trainer = engine
        engine.add_event_handler(Events.STARTED, self._forget)
        engine.add_event_handler(Events.EPOCH_STARTED, self._begin_epoch)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._note_loss)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._end_epoch)
        if self.validator is not None:
            self.validator.add_event_handler(Events.COMPLETED, self._note_validation)

    def _forget(self, trainer: Engine) -> None:
        self.rows, self._taken_up = {}, False

    def _begin_epoch(self, trainer: Engine) -> None:
        # Not when the training starts: a checkpoint may be loaded after this handler has seen that.
        if not self._taken_up:
            self._taken_up = True
            self.rows = {epoch: row for epoch, row in self._former().items() if epoch < trainer.state.epoch} | self.rows
        self._began = time.perf_counter()
        # Now: at the epoch's end the schedule has set the next one's.
        self._learning_rate = float(trainer.optimizer.param_groups[0]["lr"])
        self._losses = []

    def _former(self) -> dict[int, Row]:
        """The rows of the training that is resumed; none if there are none that can be read."""
        try:
            return {int(row["epoch"]): row for row in read_history(self.path)}
        except (OSError, InvalidBundle):
            return {}

    def _note_loss(self, trainer: Engine) -> None:
        # Where MONAI has decollated the output it has repeated the batch's loss for each case.
        output = trainer.state.output
        loss = (output[0] if isinstance(output, list) else output)["loss"]
        # Read when the epoch ends: asked for now, a GPU would have to finish the step first.
        self._losses.append(loss.detach() if hasattr(loss, "detach") else loss)

    def _note_validation(self, validator: Engine) -> None:
        epoch = int(self._trainer.state.epoch) if self._trainer is not None else 0
        self.rows.setdefault(epoch, {}).update(scores_by_class(validator, self.labels))
        if "train_loss" in self.rows[epoch]:  # the epoch's row is written already: this handler stands first
            self._write()

    def _end_epoch(self, trainer: Engine) -> None:
        import ignite.distributed as idist

        count = idist.all_reduce(float(len(self._losses)))
        loss = float(idist.all_reduce(math.fsum(map(float, self._losses)))) / max(float(count), 1.0)
        epoch = int(trainer.state.epoch)
        self.rows[epoch] = {
            "epoch": epoch,
            "train_loss": loss,
            **scores_by_class(trainer, {}),
            **self.rows.get(epoch, {}),
            "learning_rate": self._learning_rate,
            "seconds": time.perf_counter() - self._began,
        }
        trainer.state.history_row = self.rows[epoch]  # for whoever records it elsewhere
        self._write()

    def _write(self) -> None:
        import ignite.distributed as idist

        if idist.get_rank() != 0:
            return
        seen = dict.fromkeys(name for row in self.rows.values() for name in row)
        columns = [*FIRST, *(name for name in seen if name not in (*FIRST, *LAST)), *LAST]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        for epoch, row in sorted(self.rows.items()):
            writer.writerow([epoch, *(_cell(row.get(name)) for name in columns[1:])])
        write_text_aside(self.path, text.getvalue())


def scores_by_class(engine: Engine, labels: Mapping[int, str]) -> Row:
    """The metrics of a MONAI engine that are one number each, and each of them by class as "<metric>_<class>".

    Args:
        engine: After a run; its `state.metrics` are read, and `state.metric_details` of shape (cases, classes).
        labels: Foreground class index → name; empty for the metrics alone.
    """
    import torch

    values = {name: float(value) for name, value in engine.state.metrics.items() if torch.as_tensor(value).numel() == 1}
    for name, detail in engine.state.metric_details.items() if labels else ():
        by_class = torch.nanmean(torch.as_tensor(detail).float(), dim=0).flatten().tolist()
        if len(by_class) == len(labels) + 1:
            by_class = by_class[1:]  # the background was scored too
        if len(by_class) == len(labels):
            values |= {f"{name}_{label}": value for label, value in zip(labels.values(), by_class, strict=True)}
    return values


def read_history(path: str | os.PathLike[str]) -> list[Row]:
    """The rows of a `history.csv`; an empty cell is NaN.

    Raises:
        OSError: if there is no such file.
        InvalidBundle: if it is not what `History` writes.
    """
    file = Path(path)
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = [
                {name: math.nan if cell == "" else float(cell) for name, cell in row.items()}
                for row in csv.DictReader(lines)
            ]
        if any(not (row["epoch"] >= 0 and None not in row) for row in rows):
            raise ValueError("an epoch without a number")
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise InvalidBundle(
            f"{file}: is no history of a training ({error}); expected a table with the columns epoch, train_loss, …. "
            "Remove it; the next training writes it anew."
        ) from error
    return rows


def _cell(value: float | None) -> str:
    """Six significant digits; empty for what is not known."""
    return f"{value:.6g}" if value is not None and math.isfinite(value) else ""
