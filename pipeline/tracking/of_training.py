"""What only a training tells: its epochs, its validations and its weights."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.history import scores_by_class
from pipeline.tracking.datasets import DatasetFacts
from pipeline.tracking.facts import KEEPS_LAST
from pipeline.tracking.models import Registration, Scores, log_checkpoints
from pipeline.tracking.record import Record
from pipeline.tracking.store import store_name
from pipeline.tracking.training_record import note_weights, read_training_record

if TYPE_CHECKING:
    from ignite.engine import Engine

    from pipeline.checkpoints import Checkpoints

__all__ = ["TrainingFacts"]


class TrainingFacts:
    """The scores of each validation, and which weights are whose.

    Args:
        checkpoints: Of the training; None if it keeps none.
        resume: Whether it is resumed.
        labels: Class index → name, without the background.
    """

    def __init__(self, checkpoints: Checkpoints | None, resume: bool, labels: Mapping[int, str]) -> None:
        self.checkpoints = checkpoints
        self.resume = resume
        self.labels = labels
        self.trainer: Engine | None = None
        self._began = 0.0
        self._scores: dict[int, Scores] = {}
        self._resumes: str | None = None
        self._written_epoch: int | None = None

    @property
    def best(self) -> tuple[int, float] | None:
        """Epoch and score of the validation whose weights are kept; None before there is one."""
        kept = self.checkpoints
        return (kept.best_epoch, kept.best_metric) if kept is not None and kept.best_epoch > 0 else None

    @property
    def resumes(self) -> str | None:
        """What is resumed, in words; None if nothing is."""
        if self.checkpoints is None or not self.resume:
            return None
        return f"run {self._resumes}" if self._resumes else "a training without a record"

    def tags(self) -> dict[str, str]:
        """Of a run that begins: which weights it keeps, and which training it resumes."""
        self._began, self._scores = time.time(), {}
        if self.checkpoints is None:
            return {}
        kept = {KEEPS_LAST: "true"} if self.checkpoints.keeps_last else {}
        if not self.resume:
            return kept
        self._resumes = read_training_record(self.checkpoints.folder).get("run_id")
        return kept | {
            "planar.resumes": self._resumes or "a training without a record",
            "planar.resumes_after_epoch": str(self.checkpoints.resumed[0]),
        }

    def of_validation(self, evaluator: Engine) -> tuple[int, Scores]:
        """The epoch, when it was validated, and the metrics, also by class."""
        epoch = int(self.trainer.state.epoch) if self.trainer is not None else 0
        self._scores[epoch] = (int(time.time() * 1000), scores_by_class(evaluator, self.labels))
        return epoch, self._scores[epoch]

    def of_epoch(self, trainer: Engine) -> dict[str, float]:
        """The row that `History` has just made, without what the validation has told already."""
        row = getattr(trainer.state, "history_row", None) or scores_by_class(trainer, {})
        known = {"epoch", "seconds", *self._scores.get(trainer.state.epoch, (0, {}))[1]}
        values = {name: value for name, value in row.items() if name not in known}
        return values | ({"epoch_seconds": row["seconds"]} if "seconds" in row else {})

    def note_weights(self, record: Record, *, only_new: bool = False) -> str | None:
        """Say beside the weights which run made them; the digest of the best ones."""
        if self.checkpoints is None or (only_new and self.checkpoints.best_epoch == self._written_epoch):
            return None
        self._written_epoch = self.checkpoints.best_epoch
        return note_weights(self.checkpoints, record.run_id, store_name(record.uri), self._resumes)

    def log_weights(
        self,
        record: Record,
        bundle: Path | None,
        *,
        params: Mapping[str, Any],
        validated_on: DatasetFacts | None,
        register: Registration | None,
    ) -> None:
        """Log the weights as models, whose scores are those of their validation; see `log_checkpoints`."""
        if self.checkpoints is None:
            return
        if (digest := self.note_weights(record)) is not None:
            record.tags({"planar.model_sha256": digest})
        try:
            log_checkpoints(
                record,
                self.checkpoints,
                bundle,
                params=params,
                since=0.0 if self.resume else self._began,
                scores=self._scores,
                validated_on=validated_on,
                register=register,
            )
        except Exception as error:  # weights that cannot be copied, as on a full disk, must not keep the run open
            logging.getLogger(__name__).warning("The weights are not in the record of the run: %s", error)
