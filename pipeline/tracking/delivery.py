"""Telling MLflow what a journal holds: in order, and so that telling it twice doubles nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.tracking.journal import Journal, Operation
from pipeline.tracking.model_delivery import MODEL_OPERATIONS, ModelDelivery
from pipeline.tracking.store import is_refusal_of_user, reason_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Delivery"]

# What needs the artifact store. Where that fails and the tracking store does not, numbers and the run's end go on.
WITH_FILES = {"file", "model_files", "model_ready", "register"}
METRICS_A_REQUEST, PAIRS_A_REQUEST = 1000, 100  # MLflow's limits
# What a dataset's cases are told as: columns of the run's data/datalist.json, or of tables/cases.csv.
CASE_COLUMNS = {"case": True, "image_sha256": True, "label_sha256": False}
# Times that an operation fails while the store answers before it is set aside.
TRIES = 5
# MLflow's words for what will not be taken however often it is sent.
NEVER = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"}


@dataclass
class Delivery:
    """Sends a journal's operations to the run that they belong to.

    Attributes:
        client: Of the store.
        run_id: The run.
        experiment_id: Its experiment.
        failure: Why the last pass did not send everything, or None.
        sent: Operations sent.
        stopped: Whether to leave the rest to others.
    """

    client: MlflowClient
    run_id: str
    experiment_id: str
    failure: str | None = None
    sent: int = 0
    stopped: bool = False

    def __post_init__(self) -> None:
        self.models = ModelDelivery(self.client, self.run_id, self.experiment_id)
        self._failed: dict[int, int] = {}

    def deliver(self, journal: Journal) -> bool:
        """One pass over what is pending.

        Returns: Whether all of it has been sent, or set aside because MLflow will never take it.
        """
        self.failure = None
        held_back = False  # files; the others go on
        for batch in _batches(journal.pending):
            if self.stopped:
                return False
            if held_back and batch[0]["op"] in WITH_FILES:
                continue
            try:
                self._send(journal, batch)
            except Exception as error:
                if len(batch) > 1 and _is_refusal(error):
                    if not self._one_by_one(journal, batch):
                        return False
                    continue
                if self._is_hopeless(error, batch[0]):
                    journal.mark_refused(batch[0], reason_of(error))
                    continue
                self.failure = reason_of(error)
                if batch[0]["op"] not in WITH_FILES:
                    return False
                held_back = True
                continue
            journal.mark_sent(batch)
            self.sent += len(batch)
        return not held_back

    def _one_by_one(self, journal: Journal, batch: Sequence[Operation]) -> bool:
        """Send what was refused together; whether the store still answers."""
        for operation in batch:
            try:
                self._send(journal, [operation])
            except Exception as error:
                if not self._is_hopeless(error, operation):
                    self.failure = reason_of(error)
                    return False
                journal.mark_refused(operation, reason_of(error))
            else:
                journal.mark_sent([operation])
                self.sent += 1
        return True

    def _is_hopeless(self, error: Exception, operation: Operation) -> bool:
        """Whether sending it again cannot help."""
        if _is_refusal(error) or isinstance(error, FileNotFoundError):
            return True
        if operation["op"] == "register" and is_refusal_of_user(error):
            return True  # another user's model: files must not wait for that
        if operation["op"] in WITH_FILES or not self._store_answers():
            return False
        number = int(operation["n"])
        self._failed[number] = self._failed.get(number, 0) + 1
        return self._failed[number] >= TRIES

    def _store_answers(self) -> bool:
        try:
            self.client.get_run(self.run_id)
        except Exception:
            return False
        return True

    def _send(self, journal: Journal, batch: Sequence[Operation]) -> None:
        first = batch[0]
        if first["op"] == "metrics":
            self._send_metrics(batch)
        elif first["op"] in MODEL_OPERATIONS:
            self.models.send(first, journal)
        else:
            getattr(self, f"_send_{first['op']}")(first, journal)

    def _send_metrics(self, batch: Sequence[Operation]) -> None:
        from mlflow.entities import Metric

        metrics = []
        for operation in batch:
            model = self.models.id_of(operation["model"]) if operation.get("model") else None
            name, digest = operation.get("dataset") or (None, None)
            metrics += [
                Metric(
                    key,
                    value,
                    operation["time"],
                    operation["step"],
                    # What MLflow keeps of models has no NaN: of a class that no case has, its page would show Dice 0.
                    model_id=None if math.isnan(value) else model,
                    dataset_name=name,
                    dataset_digest=digest,
                )
                for key, value in operation["values"].items()
            ]
        for start in range(0, len(metrics), METRICS_A_REQUEST):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + METRICS_A_REQUEST])

    def _send_params(self, operation: Operation, _: Journal) -> None:
        from mlflow.entities import Param

        for part in _parts(operation["values"]):
            self.client.log_batch(self.run_id, params=[Param(key, value) for key, value in part.items()])

    def _send_tags(self, operation: Operation, _: Journal) -> None:
        from mlflow.entities import RunTag

        for part in _parts(operation["values"]):
            self.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in part.items()])

    def _send_file(self, operation: Operation, journal: Journal) -> None:
        self.client.log_artifact(self.run_id, str(journal.source(operation)), operation.get("folder") or None)

    def _send_dataset(self, operation: Operation, _: Journal) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        columns = [{"name": name, "type": "string", "required": always} for name, always in CASE_COLUMNS.items()]
        dataset = Dataset(
            name=operation["name"],
            digest=operation["digest"],
            source_type="planar",
            source=json.dumps({"digest": operation["digest"]}),  # where the files lie stays on their machine
            schema=json.dumps({"mlflow_colspec": columns}),
            profile=json.dumps(operation["profile"]),
        )
        tags = [InputTag("mlflow.data.context", operation["context"])]
        self.client.log_inputs(self.run_id, datasets=[DatasetInput(dataset, tags)])

    def _send_status(self, operation: Operation, _: Journal) -> None:
        self.client.update_run(self.run_id, status=operation["status"])

    def _send_end(self, operation: Operation, _: Journal) -> None:
        self.client.set_terminated(self.run_id, status=operation["status"], end_time=operation["time"])


def _batches(operations: Sequence[Operation]) -> Iterator[list[Operation]]:
    """Neighbouring metrics together, as many as a request takes; all else alone."""
    batch: list[Operation] = []
    size = 0
    for operation in operations:
        is_metrics = operation["op"] == "metrics"
        count = len(operation["values"]) if is_metrics else 0
        if batch and (not is_metrics or size + count > METRICS_A_REQUEST):
            yield batch
            batch, size = [], 0
        if is_metrics:
            batch.append(operation)
            size += count
        else:
            yield [operation]
    if batch:
        yield batch


def _parts(values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    pairs = list(values.items())
    for start in range(0, len(pairs), PAIRS_A_REQUEST):
        yield dict(pairs[start : start + PAIRS_A_REQUEST])


def _is_refusal(error: Exception) -> bool:
    return getattr(error, "error_code", None) in NEVER
