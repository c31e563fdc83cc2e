"""The MLflow record of a run, brought in by a bundle's `configs/tracking.json` through MONAI's `--tracking`."""

from __future__ import annotations

import atexit
import logging
import math
import os
import re
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.engines import Trainer

from pipeline import __version__
from pipeline.errors import TrackingUnreachable
from pipeline.history import scores_by_class

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "ParentRun",
    "RunRecorder",
    "ValidationRecorder",
    "executed_config",
    "tracking_uri",
    "without_password",
]


FOLD_TAG = "planar.fold"
# What MLflow takes is longer, but not on every store.
TAG_LENGTH, PARAM_LENGTH = 500, 500


def tracking_uri(configured: str | None = None) -> str:
    """Where runs are recorded: `MLFLOW_TRACKING_URI`, else what the bundle says, else SQLite in the working folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or configured or f"sqlite:///{Path.cwd() / 'mlruns.db'}"


def executed_config(said: str | None, output_dir: str | os.PathLike[str]) -> str | None:
    """The file that MONAI has exported the executed config to; for the artifacts in a bundle's `tracking.json`.

    MONAI (1.6) names it as ``output_dir + "/config_….json"`` in its config language, which is a path only where
    `output_dir` is an expression too, and not where it has been overridden with a path.

    Args:
        said: What `save_execute_config` came to.
        output_dir: What `output_dir` came to.
    """
    if said and Path(said).is_file():
        return said
    name = re.search(r"/(config_[^/']*\.json)", said or "")
    return str(Path(output_dir) / name[1]) if name else None


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
        # There while a run is open.
        self._client: MlflowClient | None = None
        self._trainer: Engine | None = None
        self._epoch_began = 0.0
        self._learning_rate = math.nan
        self._losses: list[float] = []
        self._told_not_finite = False

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

    def start(self, engine: Engine | None = None) -> None:
        """Open a run. Only the first process of a distributed training records."""
        if idist.get_rank() != 0:
            return
        self.close("FAILED")  # one that an error left open, where the engine is started once more
        tags = {"planar.version": __version__, **self.tags}
        try:
            client, experiment_id = _open_store(self.uri, self.experiment)
            run = client.create_run(experiment_id, run_name=self.run_name, tags=tags)
        except Exception as error:
            raise TrackingUnreachable(
                f"MLflow at {without_password(self.uri)} cannot be used: {_reason(error)} Start the server, or set "
                "MLFLOW_TRACKING_URI, or run with --no-tracking."
            ) from error
        self._hold(client, run.info.run_id)
        self._log_params()
        self._log_files(self.artifacts)

    def _hold(self, client: MlflowClient, run_id: str) -> None:
        self._client, self.run_id = client, run_id
        # A run that nothing ended (Ctrl-C and errors outside the engine) is ended when the process is.
        atexit.register(self._close_at_exit)

    def finish(self, engine: Engine | None = None) -> None:
        """Log the results and end the run well."""
        self._log_files(self.results)
        self.close("FINISHED")

    def close(self, status: str, error: BaseException | None = None) -> None:
        """End the run as FINISHED, FAILED or KILLED; the error's traceback becomes an artifact. Once only."""
        if self._client is None or self.run_id is None:
            return
        client, self._client = self._client, None
        atexit.unregister(self._close_at_exit)
        try:
            if error is not None:
                text = "".join(traceback.format_exception(error))
                client.log_text(self.run_id, text, "traceback.txt")
        finally:
            client.set_terminated(self.run_id, status=status)

    def _close_at_exit(self) -> None:
        error = getattr(sys, "last_value", None)
        self.close("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", error)

    def _begin_epoch(self, trainer: Engine) -> None:
        self._epoch_began = time.perf_counter()
        # Now: at the epoch's end the schedule has set the next one's.
        self._learning_rate = float(trainer.optimizer.param_groups[0]["lr"])
        self._losses = []

    def _note_loss(self, trainer: Engine) -> None:
        # Where MONAI has decollated the output it has repeated the batch's loss for each case.
        output = trainer.state.output
        loss = (output[0] if isinstance(output, list) else output)["loss"]
        self._losses.append(float(torch.as_tensor(loss).detach()))

    def _log_epoch(self, trainer: Engine) -> None:
        values = _numbers(trainer.state.metrics)
        if self._losses:
            values["train_loss"] = sum(self._losses) / len(self._losses)
        values["epoch_seconds"] = time.perf_counter() - self._epoch_began
        values["learning_rate"] = self._learning_rate
        self.log_metrics(values, step=trainer.state.epoch)

    def _log_evaluation(self, evaluator: Engine) -> None:
        self.log_metrics(_numbers(evaluator.state.metrics), step=0)

    def log_validation(self, evaluator: Engine) -> None:
        """Log the validator's metrics, and each of them by class, at the trainer's epoch."""
        values = scores_by_class(evaluator, self.labels)
        self.log_metrics(values, step=self._trainer.state.epoch if self._trainer is not None else 0)

    def log_metrics(self, values: Mapping[str, float], step: int, run_id: str | None = None) -> None:
        """Log numbers at one step.

        MLflow keeps NaN as NaN and infinity as its largest number. What was first of them is a tag too: a loss that
        is none any more must not be taken for one that was not measured.

        Args:
            values: By metric.
            step: The epoch.
            run_id: Another run than this one, such as a child that has ended.
        """
        if self._client is None:
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(_allowed(name), v, now, step) for name, v in values.items()]
        self._client.log_batch(run_id or self.run_id, metrics=metrics)
        wrong = [f"{_allowed(name)} was {v} at step {step}" for name, v in values.items() if not math.isfinite(v)]
        if wrong and not self._told_not_finite:
            self._told_not_finite = True
            self._client.set_tag(run_id or self.run_id, "planar.not_finite", "; ".join(wrong)[:TAG_LENGTH])

    def _log_params(self) -> None:
        if self._client is None:
            return
        from mlflow.entities import Param

        params = [Param(_allowed(name), str(value)[:PARAM_LENGTH]) for name, value in self.params.items()]
        self._client.log_batch(self.run_id, params=params)

    def _log_files(self, files: Mapping[str, str], run_id: str | None = None) -> None:
        if self._client is None:
            return
        for folder, path in files.items():
            if path and Path(path).is_file():
                self._client.log_artifact(run_id or self.run_id, path, artifact_path=folder.split("/")[0])


class ParentRun(RunRecorder):
    """The run over the runs of a cross-validation, which MLflow shows nested below it.

    It outlives a process: a cross-validation that is resumed, or whose folds are trained on several machines, goes on
    with the same one. Between two of them it is SCHEDULED, as MLflow calls a run that is to go on later.
    """

    def open(self, run_id: str | None = None) -> str:
        """Take up the run of that id, or begin one where there is none or the store does not have it.

        Returns: The run's id.
        Raises: TrackingUnreachable: if the store cannot be opened.
        """
        if run_id is not None:
            try:
                client, _ = _open_store(self.uri, self.experiment)
                client.update_run(run_id, status="RUNNING")
            except Exception:  # another store, or none: beginning a run says which
                run_id = None
            else:
                self._hold(client, run_id)
        if run_id is None:
            self.start()
        return str(self.run_id)

    def child_tags(self, fold: int) -> dict[str, str]:
        """What makes another run a child of this one."""
        return {"mlflow.parentRunId": str(self.run_id), FOLD_TAG: str(fold)} if self.run_id is not None else {}

    def end_left_open(self, fold: int) -> None:
        """End the runs of a fold that a killed process has left RUNNING."""
        if self._client is None or self.run_id is None:
            return
        experiment = self._client.get_run(self.run_id).info.experiment_id
        ours = " and ".join(f"tags.`{name}` = '{value}'" for name, value in self.child_tags(fold).items())
        for child in self._client.search_runs([experiment], f"{ours} and attributes.status = 'RUNNING'"):
            self._client.set_terminated(child.info.run_id, status="KILLED")

    def note_fold(
        self, fold: int, values: Mapping[str, float], child: str | None = None, files: Mapping[str, str] | None = None
    ) -> None:
        """Log what a fold came to: here as "fold_<metric>" at the step of the fold's number, and in the fold's own run.

        Args:
            fold: Its number.
            values: By metric.
            child: The fold's run.
            files: As the recorder's `results`; for the fold's run.
        """
        self.log_metrics({f"fold_{name}": value for name, value in values.items()}, step=fold)
        if child is not None:
            self.log_metrics(values, step=0, run_id=child)
            self._log_files(files or {}, run_id=child)

    def pause(self) -> None:
        """Leave the run to be gone on with later: folds are left to train."""
        if self._client is None or self.run_id is None:
            return
        client, self._client = self._client, None
        atexit.unregister(self._close_at_exit)
        client.update_run(self.run_id, status="SCHEDULED")


class ValidationRecorder:
    """Forwards a validator's metrics to the run of its trainer."""

    def __init__(self, recorder: RunRecorder) -> None:
        self.recorder = recorder

    def attach(self, engine: Engine) -> None:
        """Attach to the validator."""
        engine.add_event_handler(Events.COMPLETED, self.recorder.log_validation)


def without_password(text: str) -> str:
    """A line in which the user and password of a URI are replaced by dots."""
    return re.sub(r"://[^/@\s]+@", "://…@", text)


def _reason(error: BaseException) -> str:
    """What the operating system said at the bottom of it ("Connection refused."), else the error's first line."""
    deepest = error
    while (inner := deepest.__cause__ or deepest.__context__) is not None:
        deepest = inner
    said = getattr(deepest, "strerror", None)
    lines = f"{said}." if said else str(error).strip() or type(error).__name__
    return without_password(lines.splitlines()[0])


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that are one number each; an engine may hold tables too."""
    return {name: float(value) for name, value in metrics.items() if torch.as_tensor(value).numel() == 1}


def _allowed(name: str) -> str:
    """A name as MLflow takes it: those of classes and of settings such as network_def#channels may hold anything."""
    return re.sub(r"[^\w.\- ]", "_", name)


@contextmanager
def _impatient() -> Iterator[None]:
    """A server that is not there is told at once; MLflow would try for four minutes."""
    settings = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}
    ours = {name: value for name, value in settings.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


def _open_store(uri: str, experiment: str) -> tuple[MlflowClient, str]:
    """A client and the experiment's id."""
    # MLflow answers the creation of a SQLite store with a page of migration messages.
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=uri)
    with _impatient():
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
