"""The handlers that record trainings and evaluations, brought in through MONAI's `--tracking`."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.engines import Trainer

from pipeline.bundle import config_digests
from pipeline.digests import file_sha256
from pipeline.history import scores_by_class
from pipeline.tracking import environment
from pipeline.tracking.open_run import OpenRun
from pipeline.tracking.record import TAG_LENGTH, allowed
from pipeline.tracking.state import note_places
from pipeline.tracking.store import store_name
from pipeline.tracking.training_record import (
    read_training_record,
    training_run_of,
    write_training_record,
)

__all__ = ["RunRecorder", "ValidationRecorder"]

# The digest of what was given is a tag, by the folder that it is logged to.
DIGESTS = {"config": "planar.config_sha256", "data": "planar.datalist_sha256"}


class RunRecorder(OpenRun):
    """One MLflow run for one training or one evaluation, never shared and never adopted.

    It starts the run when the engine starts, logs after each epoch, and ends it as FINISHED, FAILED or KILLED.

    Args:
        experiment: Name of the MLflow experiment; made if missing.
        run_name: Name of the run; its kind and time if None.
        uri: Tracking URI; see `tracking_uri`.
        labels: Class index → name, for metrics by class.
        params: What is logged as parameters.
        tags: What is logged as tags, next to Planar's own.
        artifacts: Files that are logged when the run starts: the resolved config, the datalist.
        results: Files that are logged when the run ends: checkpoints, tables. Missing ones are left out.
        record_user: Whether user and host are recorded; PLANAR_RECORD_USER=0 forbids it everywhere.
        system_metrics: Whether the machine is measured, every ten seconds.
        bundle: The bundle's folder; stays on this machine.
        checkpoint: The weights that are applied: of an evaluation.
        checkpoints: `pipeline.checkpoints.Checkpoints` of a training; `record.json` is written beside them.
        resume: Whether the training is resumed.
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
        record_user: bool = True,
        system_metrics: bool = False,
        bundle: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoints: Any = None,
        resume: bool = False,
    ) -> None:
        super().__init__(experiment, run_name, uri, tags)
        self.labels = {int(k): str(v) for k, v in (labels or {}).items() if int(k) != 0}
        self.params = dict(params or {})
        self.artifacts = dict(artifacts or {})
        self.results = dict(results or {})
        self.record_user = record_user
        self.system_metrics = system_metrics
        self.bundle = bundle
        self.checkpoint = checkpoint
        self.checkpoints = checkpoints
        self.resume = resume
        self._trainer: Engine | None = None
        self._monitor: Any = None
        self._resumes: str | None = None
        self._written_epoch: int | None = None
        self._epoch_began = 0.0
        self._learning_rate = math.nan
        self._losses: list[float] = []
        self._told_not_finite = False
        self._told_bundle = False

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
        """Open a run. Only the first process of a distributed training records.

        Raises: TrackingUnreachable: if the store cannot be opened.
        """
        if idist.get_rank() != 0:
            return
        code = environment.checkouts()
        user = environment.user_and_host() if self.record_user else {}
        self.open_new(self._first_tags(code, user))
        self.record.params(self.params)
        self._log_files(self.artifacts)
        self._log_environment(code, user)
        self._note_places()
        self._told_bundle = False
        if self.checkpoints is not None:
            self._write_training_record()
        if self._trainer is None:
            self._log_bundle()
        if self.system_metrics:
            from pipeline.tracking.system import SystemMonitor

            self._monitor = SystemMonitor(self.record)
            self._monitor.start()

    def finish(self, engine: Engine | None = None) -> None:
        """Log the results and end the run well."""
        self._log_files(self.results)
        self.close("FINISHED")

    def before_close(self) -> None:
        """The last facts of a run, however it ends."""
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None
        if self.checkpoints is not None and (digest := self._write_training_record()) is not None:
            self.record.tags({"planar.model_sha256": digest})

    def _first_tags(self, code: list[environment.Checkout], user: Mapping[str, str]) -> dict[str, str]:
        """The tags that a run has from its first moment on."""
        tags = {"mlflow.source.name": environment.source_name(), "mlflow.source.type": "LOCAL"}
        if user:
            tags |= {"mlflow.user": user.get("user", "unknown"), "planar.host": user["host"]}
        if code:
            tags |= {"mlflow.source.git.commit": code[0].commit, "planar.git.dirty": str(code[0].dirty).lower()}
            tags |= {"mlflow.source.git.branch": code[0].branch} if code[0].branch else {}
        for folder, tag in DIGESTS.items():
            with suppress(OSError, TypeError):
                tags[tag] = file_sha256(self.artifacts[folder]) if folder in self.artifacts else ""
        if self.checkpoint is not None and Path(self.checkpoint).is_file():
            digest = file_sha256(self.checkpoint)
            maker = training_run_of(self.checkpoint, digest)
            tags |= {"planar.model_sha256": digest, "planar.training_run": maker or ""}
        if self.checkpoints is not None and self.resume:
            self._resumes = read_training_record(self.checkpoints.folder).get("run_id")
            tags |= {
                "planar.resumes": self._resumes or "a training without a record",
                "planar.resumes_after_epoch": str(self.checkpoints.resumed[0]),
            }
        return {name: value for name, value in tags.items() if value}

    def _log_environment(self, code: list[environment.Checkout], user: Mapping[str, str]) -> None:
        facts = {
            "versions": environment.versions(),
            "machine": environment.machine(),
            "code": [{key: getattr(one, key) for key in ("of", "commit", "branch", "dirty")} for one in code],
            **user,
        }
        self.record.text(json.dumps(facts, indent=2) + "\n", "environment.json")
        self.record.text(environment.lock_text(), "code/requirements.txt")
        for one in code:
            if one.diff:
                name = "diff.patch" if one.of == "planar" else "diff_working_folder.patch"
                self.record.text(one.diff, f"code/{name}")

    def _note_places(self) -> None:
        """Where the data lie, on this machine alone."""
        datalist = self.artifacts.get("data")
        places = {
            "datalist": str(Path(datalist).absolute()) if datalist else None,
            "bundle": str(Path(self.bundle).absolute()) if self.bundle is not None else None,
            "checkpoint": str(Path(self.checkpoint).absolute()) if self.checkpoint is not None else None,
        }
        with suppress(OSError):  # without a folder for it, the user says where the data are
            if datalist and Path(datalist).is_file():
                places["datalist_sha256"] = file_sha256(datalist)
            note_places(str(self.run_id), places)

    def _write_training_record(self) -> str | None:
        """Say beside the weights which run they are of; their digest, if there are any."""
        best = self.checkpoints.best_path
        digest = file_sha256(best) if best.is_file() else None
        maker = training_run_of(best, digest) if digest is not None else None
        content = {
            "run_id": self.run_id,
            "tracking_uri": store_name(self.uri),
            "model_sha256": digest,
            "step": self.checkpoints.best_epoch if digest is not None else None,
            **({"resumes": self._resumes} if self._resumes else {}),
            **({"model_run_id": maker} if maker not in (None, self.run_id) else {}),
        }
        self._written_epoch = self.checkpoints.best_epoch
        with suppress(OSError):  # the weights themselves could not be written either, which is told elsewhere
            write_training_record(self.checkpoints.folder, content)
        return digest

    def _log_bundle(self) -> None:
        """The digests of the bundle's configs, which the executed config has come from."""
        if self.bundle is not None and not self._told_bundle and self.is_open:
            self._told_bundle = True
            with suppress(OSError):
                self.record.text(json.dumps(config_digests(self.bundle), indent=2) + "\n", "code/bundle.json")

    def _begin_epoch(self, trainer: Engine) -> None:
        self._log_bundle()  # not before: a training that is resumed writes its settings into them when it starts
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
        if self.is_open and self.checkpoints is not None and self.checkpoints.best_epoch != self._written_epoch:
            self._write_training_record()  # now: a process that is killed has no other time

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers at one step, the epoch.

        What was first not finite is a tag too: a loss that is none any more must not be taken for one that was not
        measured.
        """
        if not self.is_open:
            return
        self.record.metrics(values, step)
        wrong = [f"{allowed(name)} was {v} at step {step}" for name, v in values.items() if not math.isfinite(v)]
        if wrong and not self._told_not_finite:
            self._told_not_finite = True
            self.record.tags({"planar.not_finite": "; ".join(wrong)[:TAG_LENGTH]})

    def _log_files(self, files: Mapping[str, str]) -> None:
        for folder, path in files.items() if self.is_open else ():
            if path:
                self.record.file(Path(path), folder.split("/")[0])


class ValidationRecorder:
    """Forwards a validator's metrics to the run of its trainer."""

    def __init__(self, recorder: RunRecorder) -> None:
        self.recorder = recorder

    def attach(self, engine: Engine) -> None:
        """Attach to the validator."""
        engine.add_event_handler(Events.COMPLETED, self.recorder.log_validation)


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that are one number each; an engine may hold tables too."""
    return {name: float(value) for name, value in metrics.items() if torch.as_tensor(value).numel() == 1}
