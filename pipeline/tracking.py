"""The MLflow record of a run, brought in by a bundle's `configs/tracking.json` through MONAI's `--tracking`."""

from __future__ import annotations

import atexit
import logging
import math
import os
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.engines import Trainer

from pipeline import __version__
from pipeline.errors import TrackingUnreachable

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["RunRecorder", "tracking_uri"]

def tracking_uri(configured: str | None = None) -> str:
    """Where runs are recorded: `MLFLOW_TRACKING_URI`, else what the bundle says, else SQLite in the working folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or configured or f"sqlite:///{Path.cwd() / 'mlruns.db'}"


class RunRecorder:
    """One MLflow run for one training or one evaluation, never shared and never adopted.

    It starts the run when the engine starts, logs after each epoch, and ends it as FINISHED, FAILED or KILLED.

    Args:
        experiment: Name of the MLflow experiment; made if missing.
        run_name: Name of the run; MLflow invents one if None.
        uri: Tracking URI; see `tracking_uri`.
        labels: Class index → name, for metrics by class.
        params: What is logged as parameters.
        tags: What is logged as tags, next to Planar's own.
        artifacts: Files that are logged when the run starts: the resolved config, the datalist.
        results: Files that are logged when the run ends: checkpoints, tables. Missing ones are left out.
    """

    def __init__(
        self,
        experiment: str,
        run_name: str | None = None,
        uri: str | None = None,
        labels: Mapping[int, str] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        artifacts: Mapping[str, str] | None = None,
        results: Mapping[str, str] | None = None,
    ) -> None:
        self.experiment = experiment
        self.run_name = run_name
        self.uri = tracking_uri(uri)
        self.labels = {int(k): str(v) for k, v in (labels or {}).items() if int(k) != 0}
        self.params = dict(params or {})
        self.tags = dict(tags or {})
        self.artifacts = dict(artifacts or {})
        self.results = dict(results or {})
        self.run_id: str | None = None
        self._client: MlflowClient | None = None
        self._trainer: Engine | None = None
        self._epoch_began = 0.0
        self._losses: list[torch.Tensor] = []

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer, or to an evaluator that runs on its own."""
        engine.add_event_handler(Events.STARTED, self.start)
        if isinstance(engine, Trainer):
            self._trainer = engine
            engine.add_event_handler(Events.EPOCH_STARTED, self._begin_epoch)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._note_loss)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._log_epoch)
        else:
            engine.add_event_handler(Events.COMPLETED, self._log_evaluation)
        engine.add_event_handler(Events.COMPLETED, self.finish)

    def for_validator(self) -> ValidationRecorder:
        """The handler of the trainer's validator: its metrics go to the same run."""
        return ValidationRecorder(self)

    def start(self, engine: Engine) -> None:
        """Open the run. Only the first process of a distributed training records."""
        if idist.get_rank() != 0 or self.run_id is not None:
            return
        try:
            self._client, experiment_id = _open_store(self.uri, self.experiment)
            run = self._client.create_run(
                experiment_id, run_name=self.run_name, tags={"planar.version": __version__, **self.tags}
            )
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise TrackingUnreachable(
                f"MLflow at {self.uri} cannot be used: {reason} Start the server, or set MLFLOW_TRACKING_URI, or train "
                "with --no-tracking."
            ) from error
        self.run_id = run.info.run_id
        # A run that nothing ended (Ctrl-C and errors outside the engine) is ended when the process is.
        atexit.register(self._close_at_exit)
        self._log_params()
        self._log_files(self.artifacts)

    def finish(self, engine: Engine | None = None) -> None:
        """Log the results and end the run well."""
        self._log_files(self.results)
        self.close("FINISHED")

    def close(self, status: str, error: BaseException | None = None) -> None:
        """End the run as FINISHED, FAILED or KILLED; the error's traceback becomes an artifact. Once only."""
        if self._client is None or self.run_id is None:
            return
        client, self._client = self._client, None
        if error is not None:
            text = "".join(traceback.format_exception(error))
            client.log_text(self.run_id, text, "traceback.txt")
        client.set_terminated(self.run_id, status=status)
        atexit.unregister(self._close_at_exit)

    def _close_at_exit(self) -> None:
        error = getattr(sys, "last_value", None)
        self.close("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", error)

    def _begin_epoch(self, trainer: Engine) -> None:
        self._epoch_began = time.perf_counter()
        self._losses = []

    def _note_loss(self, trainer: Engine) -> None:
        # Kept as tensors: reading a number here would make the CPU wait for the GPU in every step.
        self._losses += [case["loss"].detach() for case in trainer.state.output[:1]]

    def _log_epoch(self, trainer: Engine) -> None:
        values = {f"{name}": float(value) for name, value in trainer.state.metrics.items()}
        if self._losses:
            values["train_loss"] = float(torch.stack(self._losses).mean())
        values["epoch_seconds"] = time.perf_counter() - self._epoch_began
        values["learning_rate"] = float(trainer.optimizer.param_groups[0]["lr"])
        self.log_metrics(values, step=trainer.state.epoch)

    def _log_evaluation(self, evaluator: Engine) -> None:
        self.log_metrics({name: float(value) for name, value in evaluator.state.metrics.items()}, step=0)

    def log_validation(self, evaluator: Engine) -> None:
        """Log the validator's metrics, and each of them by class, at the trainer's epoch."""
        values = {name: float(value) for name, value in evaluator.state.metrics.items()}
        for name, detail in evaluator.state.metric_details.items():
            by_class = torch.nanmean(torch.as_tensor(detail).float(), dim=0)
            for label, value in zip(self.labels.values(), by_class.tolist(), strict=False):
                values[f"{name}_{label}"] = value
        self.log_metrics(values, step=self._trainer.state.epoch if self._trainer is not None else 0)

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log finite numbers at one step."""
        if self._client is None:
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in values.items() if math.isfinite(value)]
        self._client.log_batch(self.run_id, metrics=metrics)

    def _log_params(self) -> None:
        if self._client is None:
            return
        from mlflow.entities import Param

        params = [Param(name, str(value)) for name, value in self.params.items()]
        self._client.log_batch(self.run_id, params=params)

    def _log_files(self, files: Mapping[str, str]) -> None:
        if self._client is None:
            return
        for folder, path in files.items():
            if path and Path(path).is_file():
                self._client.log_artifact(self.run_id, path, artifact_path=folder.split("/")[0])


class ValidationRecorder:
    """Forwards a validator's metrics to the run of its trainer."""

    def __init__(self, recorder: RunRecorder) -> None:
        self.recorder = recorder

    def attach(self, engine: Engine) -> None:
        """Attach to the validator."""
        engine.add_event_handler(Events.COMPLETED, self.recorder.log_validation)


def _open_store(uri: str, experiment: str) -> tuple[MlflowClient, str]:
    """A client and the experiment's id."""
    # MLflow answers the creation of a SQLite store with a page of migration messages.
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    if found is not None:
        return client, found.experiment_id
    try:
        return client, client.create_experiment(experiment)
    except MlflowException:
        # Another process may have made it in between.
        found = client.get_experiment_by_name(experiment)
        if found is None:
            raise
        return client, found.experiment_id
