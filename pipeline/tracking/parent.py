"""The run over the runs of a cross-validation."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import TrackingUnreachable
from pipeline.tracking.case_tables import log_table
from pipeline.tracking.manifest import MANIFEST, Manifest
from pipeline.tracking.manifest import TAG as MANIFEST_TAG
from pipeline.tracking.record import Record
from pipeline.tracking.recorders import RunRecorder
from pipeline.tracking.stale import close_stale
from pipeline.tracking.store import impatient, open_store, reason_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["ParentRun"]

FOLD_TAG = "planar.fold"


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
        taken_up = self._take_up(run_id) if run_id is not None else None
        if taken_up is not None:
            self.hold(taken_up)
        else:
            self.start()
        return str(self.run_id)

    def _take_up(self, run_id: str) -> Record | None:
        try:
            client, _ = open_store(self.uri, self.experiment)
        except TrackingUnreachable:
            return None  # beginning a run says so
        self.inputs.look()
        close_stale(self.uri, client)  # before, for it may end this very run
        try:
            with impatient():
                run: Run = client.get_run(run_id)
                manifest = _former_manifest(client, run)
                # Without a manifest that goes on, the former one would call what is told now a change.
                gone = {"planar.ended", *([MANIFEST_TAG] if manifest is None else [])}
                for tag in gone & run.data.tags.keys():
                    client.delete_tag(run_id, tag)
                client.update_run(run_id, status="RUNNING")
        except Exception:
            return None  # another store
        return Record.join(client, self.uri, run_id, run.info.experiment_id, owns_run=True, manifest=manifest)

    def child_tags(self, fold: int) -> dict[str, str]:
        """What makes another run a child of this one."""
        return {"mlflow.parentRunId": str(self.run_id), FOLD_TAG: str(fold)} if self.run_id is not None else {}

    def end_left_open(self, fold: int) -> None:
        """End the runs of a fold that a process killed elsewhere has left RUNNING; those of this machine are found."""
        if not self.is_open:
            return
        client = self.record.client
        ours = " and ".join(f"tags.`{name}` = '{value}'" for name, value in self.child_tags(fold).items())
        try:
            with impatient():
                children = client.search_runs([self.record.experiment_id], f"{ours} and attributes.status = 'RUNNING'")
                for child in children:
                    client.set_tag(child.info.run_id, "planar.ended", "found stale: its fold is begun again")
                    client.set_terminated(child.info.run_id, status="KILLED")
        except Exception as error:  # the store is down: no reason to end a cross-validation
            logging.getLogger(__name__).warning("Runs of fold %d may have been left open: %s", fold, reason_of(error))

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
        if child is not None and self.is_open:
            client, experiment = self.record.client, self.record.experiment_id
            record = Record.join(client, self.uri, child, experiment, owns_run=False)
            record.scrub = self.names.scrub
            record.metrics(values, step=0)
            for folder, path in (files or {}).items():
                log_table(record, Path(path), self.names, folder.split("/")[0])
            record.leave()

    def pause(self, status: str = "SCHEDULED") -> None:
        """Leave the run to be gone on with later: folds are left to train."""
        super().pause(status)


def _former_manifest(client: MlflowClient, run: Run) -> Manifest | None:
    """The manifest that a run was left with, to be gone on with; None if there is none, or something has changed since.

    After `kill -9` numbers have been told that it does not list: then the run has none any more.
    """
    if MANIFEST_TAG not in run.data.tags:
        return None
    run_id = run.info.run_id
    try:
        with tempfile.TemporaryDirectory(prefix="planar-") as folder:
            content = Path(client.download_artifacts(run_id, MANIFEST, folder)).read_bytes()
        if hashlib.sha256(content).hexdigest() != run.data.tags[MANIFEST_TAG]:
            return None
        former = json.loads(content)
        points = {
            name: [(int(one.step), float(one.value)) for one in client.get_metric_history(run_id, name)]
            for name in former["metrics"]
        }
        return Manifest.resumed(former, points, run.data.params)
    except Exception as error:  # a run without a manifest is one all the same
        logging.getLogger(__name__).warning(
            "The manifest of run %s cannot be gone on with: %s", run_id, reason_of(error)
        )
        return None
