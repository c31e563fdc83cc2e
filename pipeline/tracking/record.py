"""The record of one run: what is told of it is on the local disk first, and then on its way to MLflow."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from pipeline.tracking.delivery import Delivery
from pipeline.tracking.journal import Journal
from pipeline.tracking.manifest import MANIFEST, TAG, Manifest
from pipeline.tracking.own_journal import new_journal
from pipeline.tracking.owner import Ownership
from pipeline.tracking.sender import Sender
from pipeline.tracking.stale import RECORD_TAG, close_stale, put_away
from pipeline.tracking.store import impatient, open_store, unreachable, without_password
from pipeline.tracking.telling import Telling, now_ms
from pipeline.tracking.words import name_of_run, tags_taken

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["PATIENCE_S", "Record"]

# How long the end waits for a store that takes nothing, s.
PATIENCE_S = 30.0


class Record(Telling):
    """A run that is being recorded. Nothing here waits for MLflow but the beginning, `flush` and the end.

    Made by `Record.begin` for a new run, which belongs to it, and by `Record.join` for one that is there.
    """

    def __init__(
        self, client: MlflowClient, uri: str, journal: Journal, owner: Ownership, manifest: Manifest | None
    ) -> None:
        run_id, experiment_id = str(journal.about["run_id"]), str(journal.about["experiment_id"])
        self._sender = Sender(journal, Delivery(client, run_id, experiment_id))
        super().__init__(run_id, journal, self._sender.notice, manifest)
        self.uri = uri
        self.client = client
        self.experiment_id = experiment_id
        self._owner = owner
        self._sender.start()

    @classmethod
    def begin(cls, uri: str, experiment: str, *, run_name: str | None = None, tags: Mapping[str, str]) -> Record:
        """Begin a run of its own; records that ended processes have left for this store are closed first.

        Raises: TrackingUnreachable: if the store cannot be opened.
        """
        client, experiment_id = open_store(uri, experiment)
        close_stale(uri, client)
        journal, owner = new_journal(uri)
        journal.describe({"experiment_id": experiment_id, "owns_run": True})
        # Not tried twice: a server that is slow to answer would make two runs.
        settings = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}
        try:
            with impatient(settings):
                run = client.create_run(
                    experiment_id,
                    run_name=run_name or name_of_run(tags),
                    tags={**tags_taken(tags), RECORD_TAG: journal.about["record"]},
                )
        except BaseException as error:
            # The folder stays: if the server has made the run all the same, the next command ends it.
            journal.close()
            owner.release()
            if isinstance(error, Exception):
                raise unreachable(uri, error) from error
            raise
        journal.describe({"run_id": run.info.run_id})
        manifest = Manifest()
        manifest.tags(tags_taken(tags))
        return cls(client, uri, journal, owner, manifest)

    @classmethod
    def join(
        cls,
        client: MlflowClient,
        uri: str,
        run_id: str,
        experiment_id: str,
        *,
        owns_run: bool,
        manifest: Manifest | None = None,
    ) -> Record:
        """Record into a run that is there.

        Args:
            client: Of the store.
            uri: Of the store.
            run_id: The run.
            experiment_id: Its experiment.
            owns_run: Whether the run is over if this process is found gone.
            manifest: What it was told before; None if that is not known, and what is told now is then listed nowhere.
        """
        journal, owner = new_journal(uri)
        journal.describe({"experiment_id": experiment_id, "owns_run": owns_run, "run_id": run_id})
        return cls(client, uri, journal, owner, manifest)

    @property
    def left(self) -> int:
        """How many operations MLflow does not have."""
        return len(self._journal.pending)

    @property
    def shortfall(self) -> str | None:
        """What MLflow does not have, in one line; None if it has everything."""
        refused = self._journal.refused
        where = without_password(self.uri)
        if self.left:
            reason = self._sender.delivery.failure or "It does not answer."
            return (
                f"MLflow at {where} does not have the whole record of run {self.run_id} yet ({self.left} parts are "
                f"left: {reason}). They are kept and sent by the next command that opens this store, or by: "
                "planar runs sync"
            )
        if refused:
            return f"MLflow at {where} did not take {len(refused)} parts of run {self.run_id}: {refused[0]['reason']}"
        return None

    def flush(self, limit_s: float = PATIENCE_S) -> bool:
        """Wait until MLflow has everything, at most `limit_s` without progress; whether it has."""
        return self._sender.flush(limit_s)

    def end(self, status: str, limit_s: float = PATIENCE_S) -> str | None:
        """End the run as FINISHED, FAILED or KILLED. Once only.

        Returns: `shortfall`.
        """
        return self._leave("end", status, limit_s)

    def leave(self, status: str | None = None, limit_s: float = PATIENCE_S) -> str | None:
        """End the recording and not the run, which gets another status, such as SCHEDULED, or keeps its own.

        Returns: `shortfall`.
        """
        return self._leave("status", status, limit_s)

    def _leave(self, op: str, status: str | None, limit_s: float) -> str | None:
        if self._closed:
            return None
        if self._manifest is not None:
            manifest, self._manifest = self._manifest, None
            text = self.scrub(manifest.text())
            self._add_text(text, MANIFEST)
            self.tags({TAG: hashlib.sha256(text.encode()).hexdigest()})
        self._closed = True
        if status is not None:
            self._journal.append(op, status=status, time=now_ms())
            self._sender.notice()
        with suppress(OSError):
            self._journal.describe({"ended": True})
        try:
            self._sender.flush(limit_s)
        finally:  # Ctrl-C ends the wait, not the record
            self._sender.stop()
            shortfall = self.shortfall
            if shortfall is not None:
                logging.getLogger(__name__).warning(shortfall)
            put_away(self._journal)
            self._owner.release()
        return shortfall
