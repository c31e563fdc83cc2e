"""The record of one run: what is told of it is on the local disk first, and then on its way to MLflow."""

from __future__ import annotations

import hashlib
import logging
import posixpath
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.digests import file_sha256
from pipeline.tracking.datasets import DatasetFacts
from pipeline.tracking.delivery import Delivery
from pipeline.tracking.journal import Journal
from pipeline.tracking.manifest import MANIFEST, TAG, Manifest, of_model
from pipeline.tracking.model_delivery import local_model
from pipeline.tracking.owner import Ownership, this_process
from pipeline.tracking.privacy import scrubbed_text
from pipeline.tracking.sender import Sender
from pipeline.tracking.stale import RECORD_TAG, close_stale, put_away
from pipeline.tracking.state import records_folder
from pipeline.tracking.store import impatient, open_store, store_name, unreachable, without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Record", "allowed"]

# What MLflow takes is longer, but not on every store.
TAG_LENGTH, PARAM_LENGTH = 500, 500
# How long the end waits for a store that takes nothing, s.
PATIENCE_S = 30.0


class Record:
    """A run that is being recorded. Nothing here waits for MLflow but the beginning, `flush` and the end.

    Made by `Record.begin` for a new run, which belongs to it, and by `Record.join` for one that is there.

    Where the folder of this user cannot be written (`pipeline.tracking.state`), the journal is kept in a temporary
    folder and a warning says so: the run is recorded all the same, but what MLflow has not got when the process ends
    is not sent later.
    """

    def __init__(
        self, client: MlflowClient, uri: str, journal: Journal, owner: Ownership, manifest: Manifest | None
    ) -> None:
        self.uri = uri
        self.client = client
        self.run_id = str(journal.about["run_id"])
        self.experiment_id = str(journal.about["experiment_id"])
        self.scrub: Callable[[str], str] = lambda text: text  # names of files, for what stands for them
        self._journal = journal
        self._owner = owner
        self._manifest = manifest
        self._sender = Sender(journal, Delivery(client, self.run_id, self.experiment_id))
        self._sender.start()
        self._closed = False

    @classmethod
    def begin(cls, uri: str, experiment: str, *, run_name: str | None = None, tags: Mapping[str, str]) -> Record:
        """Begin a run of its own; records that ended processes have left for this store are closed first.

        Raises: TrackingUnreachable: if the store cannot be opened.
        """
        client, experiment_id = open_store(uri, experiment)
        close_stale(uri, client)
        journal, owner = _new_journal(uri)
        journal.describe({"experiment_id": experiment_id, "owns_run": True})
        # Not tried twice: a server that is slow to answer would make two runs.
        settings = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}
        try:
            with impatient(settings):
                run = client.create_run(
                    experiment_id,
                    run_name=run_name or _name(tags),
                    tags={**_tags(tags), RECORD_TAG: journal.about["record"]},
                )
        except BaseException as error:
            # The folder stays: if the server has made the run all the same, the next command ends it.
            journal.close()
            owner.release()
            if isinstance(error, Exception):
                raise unreachable(uri, error) from error
            raise
        journal.describe({"run_id": run.info.run_id})
        return cls(client, uri, journal, owner, Manifest())

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
        journal, owner = _new_journal(uri)
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

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters; a value is cut where MLflow would not take it."""
        sent = self._params(values)
        self._add("params", values=sent)
        if self._manifest is not None:
            self._manifest.params(sent)

    def metrics(
        self,
        values: Mapping[str, float],
        step: int,
        *,
        time_ms: int | None = None,
        model: str | None = None,
        dataset: DatasetFacts | None = None,
    ) -> None:
        """Log numbers at one step, in one request.

        Args:
            values: By metric. MLflow keeps NaN as NaN and infinity as its largest number.
            step: The epoch.
            time_ms: When, ms since 1970; now by default.
            model: What they are numbers of: as `model` returns it, or MLflow's id.
            dataset: What they were measured on.
        """
        if values:
            sent = {allowed(name): float(value) for name, value in values.items()}
            if self._manifest is not None:
                self._manifest.metrics(sent, int(step))
            self._add(
                "metrics",
                values=sent,
                step=int(step),
                time=_now() if time_ms is None else time_ms,
                model=model,
                dataset=None if dataset is None else [dataset.name, dataset.digest],
            )

    def tags(self, values: Mapping[str, str], *, clean: bool = False) -> None:
        """Set tags; the last value of a name counts.

        Args:
            values: By name.
            clean: Whether they are known to hold no names, such as that of a model; others are scrubbed.
        """
        if values:
            said = values if clean else {name: self.scrub(value) for name, value in values.items()}
            self._add("tags", values=_tags(said))

    def text(self, text: str, path: str) -> None:
        """Log a text as an artifact, such as `code/diff.patch`."""
        self._add_text(self.scrub(text), path)

    def file(self, path: Path, folder: str = "", *, clean: bool = False) -> None:
        """Log a file under its own name in a folder of the run's artifacts, as it is now; a missing one is left out.

        Args:
            path: The file.
            folder: Of the artifacts.
            clean: Whether it is known to hold no names; the texts of others are scrubbed.
        """
        if path.is_file():
            text = None if clean else scrubbed_text(path, self.scrub)
            if text is None:
                self._add_file(path, folder)
            else:
                self._add_text(text, posixpath.join(folder, path.name))

    def dataset(self, facts: DatasetFacts, context: str) -> None:
        """Log what the run was given; `context` is "training", "validation" or "test"."""
        whole = {"merkle_root": facts.merkle_root, "cases": facts.cases, **facts.profile}
        self._add("dataset", name=facts.name, digest=facts.digest, profile=whole, context=context)

    def model(
        self,
        name: str,
        files: Path,
        *,
        step: int = 0,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        model_type: str = "segmentation",
    ) -> str:
        """Log a model with its files as MLflow's LoggedModel of this run.

        Args:
            name: Such as "best".
            files: One file, or a folder whose content becomes the model's.
            step: The epoch it is of.
            tags: Such as its SHA-256.
            params: Of the model.
            model_type: In MLflow's words.
        Returns: What `metrics`, `model_tags` and `uses_model` take for it.
        """
        name = re.sub(r"[/:.%\"']", "_", name)
        self._list_model(name, files)
        number = self._add(
            "model",
            name=name,
            step=int(step),
            tags=_tags(tags or {}),
            params=self._params(params or {}),
            model_type=model_type,
        )
        key = local_model(self.run_id, number)
        self._add("model_files", files, model=key)
        self._add("model_ready", model=key)
        return key

    def model_tags(self, model: str, values: Mapping[str, str]) -> None:
        """Set tags of a model, one of this run's or one by MLflow's id."""
        self._add("model_tags", model=model, values=_tags(values))

    def register(self, model: str, name: str, alias: str | None = None) -> None:
        """Register a model as the next version of a name, once; `alias`, such as "champion", then means this one."""
        self._add("register", model=model, name=name, alias=alias)

    def uses_model(self, model: str) -> None:
        """Log which model the run applies."""
        self._add("uses_model", model=model)

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
            self._journal.append(op, status=status, time=_now())
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

    def _params(self, values: Mapping[str, Any]) -> dict[str, str]:
        return {allowed(name): self.scrub(str(value))[:PARAM_LENGTH] for name, value in values.items()}

    def _add_text(self, text: str, path: str) -> None:
        with tempfile.TemporaryDirectory(prefix="planar-") as folder:
            file = Path(folder) / posixpath.basename(path)
            file.write_text(text, encoding="utf-8", newline="")
            self._add_file(file, posixpath.dirname(path))

    def _add_file(self, path: Path, folder: str) -> None:
        if self._manifest is not None:
            with suppress(OSError):  # the journal says so
                self._manifest.file(posixpath.join(folder, path.name), file_sha256(path))
        self._add("file", path, folder=folder)

    def _list_model(self, name: str, files: Path) -> None:
        """The files of a model stand in the manifest where `RunStore` shows them among the artifacts."""
        if self._manifest is not None:
            inside = [path for path in files.rglob("*") if path.is_file()] if files.is_dir() else [files]
            base = files if files.is_dir() else files.parent
            with suppress(OSError):  # the journal says so
                for path in inside:
                    self._manifest.file(of_model(name, path.relative_to(base).as_posix()), file_sha256(path))

    def _add(self, op: str, source: Path | None = None, **content: Any) -> int:
        if self._closed:
            raise RuntimeError(f"The record of run {self.run_id} has been ended.")
        number = self._journal.append(op, source, **content)
        self._sender.notice()
        return number


def allowed(name: str) -> str:
    """A name as MLflow takes it: those of classes and of settings such as network_def#channels may hold anything."""
    clean = re.sub(r"[^\w.\-/ ]", "_", name)
    return clean if posixpath.normpath(clean) == clean and clean[0] not in "/." else clean.replace("/", "_")


def _tags(values: Mapping[str, str]) -> dict[str, str]:
    return {name: str(value)[:TAG_LENGTH] for name, value in values.items()}


def _name(tags: Mapping[str, str]) -> str:
    """As in "training-20260314-091500". MLflow's own names come from random numbers, which a seed makes the same."""
    return f"{tags.get('planar.kind', 'run')}-{datetime.now():%Y%m%d-%H%M%S}"


def _now() -> int:
    return int(time.time() * 1000)


def _new_journal(uri: str) -> tuple[Journal, Ownership]:
    """An empty journal of this process."""
    record = uuid.uuid4().hex[:12]
    about = {"record": record, "store": store_name(uri), "created": _now(), **this_process()}
    try:
        return _lay_out(records_folder() / record, about)
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix="planar-record-"))
        logging.getLogger(__name__).warning(
            "%s cannot be written (%s): what of this run's record MLflow has not got when the process ends is lost. "
            "Name a folder that can be written with PLANAR_STATE.",
            records_folder(),
            error.strerror or error,
        )
        return _lay_out(folder, about)


def _lay_out(folder: Path, about: dict[str, Any]) -> tuple[Journal, Ownership]:
    journal, owner = Journal(folder), Ownership(folder)
    # Before anything says whose it is: a folder without a description is nobody's, and left alone.
    owner.hold()
    journal.describe(about)
    return journal, owner
