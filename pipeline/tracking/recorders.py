"""The handlers that record trainings and evaluations, brought in through MONAI's `--tracking`."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.tracking.case_tables import log_table
from pipeline.tracking.models import Registration
from pipeline.tracking.note import NOTE, OF_FOLDS, note_of
from pipeline.tracking.of_inputs import InputFacts
from pipeline.tracking.of_training import TrainingFacts
from pipeline.tracking.open_run import OpenRun
from pipeline.tracking.privacy import Pseudonyms
from pipeline.tracking.provenance import Provenance
from pipeline.tracking.record import Record
from pipeline.tracking.words import TAG_LENGTH, allowed, require_apart

if TYPE_CHECKING:
    from ignite.engine import Engine

__all__ = ["RunRecorder", "ValidationRecorder"]


class RunRecorder(OpenRun):
    """One MLflow run for one training or one evaluation, never shared and never adopted.

    It starts the run when the engine starts, logs after each epoch, and ends it as FINISHED, FAILED or KILLED. Of a
    training it logs the rows that `pipeline.history.History` has made; it must be attached behind that.

    Args:
        experiment: Name of the MLflow experiment; made if missing.
        run_name: Name of the run; its kind and time if None.
        uri: Tracking URI; see `tracking_uri`.
        labels: Class index → name, for metrics by class.
        params: What is logged as parameters.
        tags: What is logged as tags, next to Planar's own.
        config: The executed config, which is logged without names of files and folders.
        datalist: The datalist, which is logged with pseudonyms for the names of files.
        cases: What the datasets of the config hold, by part; None for what the datalist says.
        names: What stands for names, where there is no datalist.
        results: Files that are logged when the run ends: checkpoints, tables. Missing ones are left out.
        record_user: Whether user and host are recorded; PLANAR_RECORD_USER=0 forbids it everywhere.
        system_metrics: Whether the machine is measured, every ten seconds.
        bundle: The bundle's folder; stays on this machine.
        output: The folder of the results; stays on this machine.
        checkpoint: The weights that are applied: of an evaluation.
        checkpoints: `pipeline.checkpoints.Checkpoints` of a training; `record.json` is written beside them.
        resume: Whether the training is resumed.
        register_as: Name under which the best weights of a finished training are registered; None for not at all.
        champion: Whether they then are its champion.
        at_end: What others have to tell, however the run ends, before it is closed; called with this recorder.
    """

    def __init__(
        self,
        experiment: str,
        run_name: str | None = None,
        uri: str | None = None,
        labels: Mapping[int, str] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        config: str | os.PathLike[str] | None = None,
        datalist: str | os.PathLike[str] | None = None,
        cases: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
        names: Pseudonyms | None = None,
        results: Mapping[str, str] | None = None,
        record_user: bool = True,
        system_metrics: bool = False,
        bundle: str | os.PathLike[str] | None = None,
        output: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoints: Any = None,
        resume: bool = False,
        register_as: str | None = None,
        champion: bool = False,
        at_end: Sequence[Callable[[RunRecorder], None]] = (),
    ) -> None:
        super().__init__(experiment, run_name, uri, tags)
        self.labels = {int(k): str(v) for k, v in (labels or {}).items() if int(k) != 0}
        self.params = dict(params or {})
        self.inputs = InputFacts(config, datalist, cases, names, bundle, output, checkpoint)
        self.results = dict(results or {})
        self.record_user = record_user
        self.system_metrics = system_metrics
        self.training = TrainingFacts(checkpoints, resume, self.labels)
        self.registration = Registration(register_as, champion) if register_as else None
        self.at_end = [*at_end]
        self._monitor: Any = None
        self._told_not_finite = False
        self._values: dict[str, float] = {}  # the last one of each metric
        self.ended_well = False
        self._told_bundle = False

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer, or to an evaluator that runs on its own."""
        # Whoever has no engine, such as an inference by an exported program, needs none of these.
        from ignite.engine import Events
        from monai.engines import Trainer

        engine.add_event_handler(Events.STARTED, self.start)
        if isinstance(engine, Trainer):
            self.training.trainer = engine
            # Not before: a training that is resumed writes its settings into the bundle's configs when it starts.
            engine.add_event_handler(Events.EPOCH_STARTED, self._log_bundle)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._log_epoch)
        else:
            engine.add_event_handler(Events.COMPLETED, self._log_evaluation)
        engine.add_event_handler(Events.COMPLETED, self.finish)

    def start(self, engine: Engine | None = None) -> None:
        """Open a run. Only the first process of a distributed training records.

        Raises:
            TrackingUnreachable: if the store cannot be opened.
            InvalidDatalist: if the record could not tell two classes apart.
        """
        require_apart(self.labels.values())
        if engine is not None:
            import ignite.distributed as idist

            if idist.get_rank() != 0:
                return
        self.ended_well, self._values = False, {}
        came = Provenance.now(self.record_user)
        self.inputs.look()
        self.open_new(came.tags | self.inputs.tags | self.training.tags())
        self.record.params(self.params)
        self.inputs.log(self.record)
        self._describe()
        came.log(self.record)
        self.training.note_weights(self.record)
        self._told_bundle = False
        if self.training.trainer is None:
            self._log_bundle()
        if self.system_metrics:
            from pipeline.tracking.system import SystemMonitor

            self._monitor = SystemMonitor(self.record)
            self._monitor.start()

    @property
    def names(self) -> Pseudonyms:
        """What stands for names in all that is told of the run."""
        return self.inputs.names

    @property
    def datalist(self) -> Path | None:
        """The datalist."""
        return self.inputs.datalist

    def case_name(self, part: str, position: int) -> str:
        """What the record calls a case."""
        return self.inputs.case_name(part, position)

    def hold(self, record: Record) -> None:
        """Take over a record, to be ended at the latest with the process."""
        record.scrub = self.names.scrub
        super().hold(record)

    def finish(self, engine: Engine | None = None) -> None:
        """Log the results and end the run well."""
        if self.is_open:
            for folder, path in self.results.items():
                if path:
                    log_table(self.record, Path(path), self.names, folder.split("/")[0])
            self._describe()
        self.ended_well = True
        self.close("FINISHED")

    def before_close(self) -> None:
        """The last facts of a run, however it ends."""
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None
        for tell in self.at_end:
            try:
                tell(self)
            except Exception as error:  # a picture that cannot be drawn must not keep the run open
                logging.getLogger(__name__).warning("Something is not in the record of the run: %s", error)
        self.training.log_weights(
            self.record,
            self.inputs.bundle,
            params=self.params,
            validated_on=self.inputs.facts("validation"),
            register=self.registration if self.ended_well else None,
        )

    def log_validation(self, evaluator: Engine) -> None:
        """Log the validator's metrics, and each of them by class, at the trainer's epoch."""
        epoch, (time_ms, values) = self.training.of_validation(evaluator)
        self.log_metrics(values, step=epoch, time_ms=time_ms)
        if self.is_open:
            self.training.note_weights(self.record, only_new=True)  # a process that is killed has no other time

    def log_metrics(self, values: Mapping[str, float], step: int, **how: Any) -> None:
        """Log numbers at one step, the epoch; see `Record.metrics`.

        What was first not finite is a tag too: a loss that is none any more must not be taken for one that was not
        measured.
        """
        if not self.is_open:
            return
        self.record.metrics(values, step, **how)
        self._values |= values
        wrong = [f"{allowed(name)} was {v} at step {step}" for name, v in values.items() if not math.isfinite(v)]
        if wrong and not self._told_not_finite:
            self._told_not_finite = True
            self.record.tags({"planar.not_finite": "; ".join(wrong)[:TAG_LENGTH]})

    def _log_epoch(self, trainer: Engine) -> None:
        """Log the row that the history has just made, but for what the validation has logged already."""
        self.log_metrics(self.training.of_epoch(trainer), step=trainer.state.epoch)

    def _log_evaluation(self, evaluator: Engine) -> None:
        import torch

        # An engine may hold tables too.
        found = evaluator.state.metrics.items()
        values = {name: float(value) for name, value in found if torch.as_tensor(value).numel() == 1}
        model = self.inputs.model
        self.log_metrics(values, step=0, model=model.model_id if model else None, dataset=self.inputs.only_part)

    def _describe(self) -> None:
        """Tell what the run is, and so far came to, as its description."""
        data = self.inputs.data if self.inputs.data is not None and self.inputs.data.used else None
        text = note_of(
            self.tags.get("planar.kind", ""),
            self.experiment,
            self.record.run_id,
            data=data.name if data else None,
            cases={part: len(data.parts[part]) for part in data.used} if data else None,
            best=self.training.best,
            values={name: value for name, value in self._values.items() if not name.endswith(OF_FOLDS)},
            resumes=self.training.resumes,
        )
        self.record.tags({NOTE: text}, clean=True)

    def _log_bundle(self, engine: Engine | None = None) -> None:
        if not self._told_bundle and self.is_open:
            self._told_bundle = True
            self.inputs.log_bundle(self.record)


class ValidationRecorder:
    """Forwards a validator's metrics to the run of its trainer.

    Args:
        recorder: Of the run.
        pictures: What draws for it; anything with `attach(validator)`.
    """

    def __init__(self, recorder: RunRecorder, pictures: Any = None) -> None:
        self.recorder = recorder
        self.pictures = pictures

    def attach(self, engine: Engine) -> None:
        """Attach to the validator."""
        from ignite.engine import Events

        engine.add_event_handler(Events.COMPLETED, self.recorder.log_validation)
        if self.pictures is not None:
            self.pictures.attach(engine)
