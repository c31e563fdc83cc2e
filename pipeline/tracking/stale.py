"""Records whose process is gone: what is left of them is sent, and a run that nothing ended is ended."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.tracking.delivery import Delivery
from pipeline.tracking.journal import Journal, read_about
from pipeline.tracking.owner import unless_owned
from pipeline.tracking.state import records_folder, refused_folder
from pipeline.tracking.store import WHILE_SENDING, impatient, reason_of, store_name, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["RECORD_TAG", "Synced", "close_stale", "put_away", "sync"]

# By which the run of a record is found that was made when its id could not be written down any more.
RECORD_TAG = "planar.record"


@dataclass(frozen=True)
class Synced:
    """What became of a record that MLflow did not have whole.

    Attributes:
        run_id: The run; None if it was never made.
        store: Where it belongs, without a password.
        sent: Parts that were sent now.
        left: Parts that are still to be sent.
        refused: Parts that MLflow would not take; they are kept in `refused/` of the state folder.
        found_stale: Whether the run was ended now because its process is gone.
        running: Whether its process is still there and sends it itself.
        reason: Why something is left, or None.
    """

    run_id: str | None
    store: str
    sent: int = 0
    left: int = 0
    refused: int = 0
    found_stale: bool = False
    running: bool = False
    reason: str | None = None


def close_stale(uri: str, client: MlflowClient) -> list[Synced]:
    """Send and end what ended processes have left for a store that has just been opened; never raises."""
    done = []
    for folder, about in _records():
        if about.get("store") == store_name(uri):
            try:
                done.append(_close(folder, about, client))
            except Exception as error:  # a record that cannot be dealt with must not keep a new run from beginning
                logging.getLogger(__name__).warning("%s: cannot be closed: %s", folder, reason_of(error))
    return done


def sync(uri: str | None = None) -> list[Synced]:
    """Send and end what ended processes have left, for all stores or for one.

    The password of a store is not kept: one that needs it is found again only if it is the one that is set now
    (`MLFLOW_TRACKING_URI`), or given here.

    Args:
        uri: The store; None for all.
    Returns: What became of each record, those of running processes too.
    """
    known = {store_name(one): one for one in (tracking_uri(), *([uri] if uri else []))}
    clients: dict[str, MlflowClient | str] = {}
    done = []
    for folder, about in _records():
        store = str(about.get("store"))
        if uri is not None and store != store_name(uri):
            continue
        with unless_owned(folder, about) as free:
            running = not free
        if running:
            done.append(Synced(about.get("run_id"), store, left=len(Journal(folder).pending), running=True))
            continue
        if store not in clients:
            clients[store] = _client(known.get(store, store))
        client = clients[store]
        if isinstance(client, str):
            done.append(Synced(about.get("run_id"), store, left=len(Journal(folder).pending), reason=client))
        else:
            try:
                done.append(_close(folder, about, client))
            except Exception as error:
                left = len(Journal(folder).pending)
                done.append(Synced(about.get("run_id"), store, left=left, reason=reason_of(error)))
    return done


def put_away(journal: Journal) -> None:
    """Take a record away that MLflow has whole; one of which it refused a part is kept beside the others."""
    journal.close()
    if journal.pending:
        return
    if not journal.refused:
        journal.remove()
        return
    target = refused_folder() / journal.folder.name
    with suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        journal.folder.rename(target)


def _records() -> Iterator[tuple[Path, dict[str, Any]]]:
    """The folder and the description of each record."""
    try:
        folders = sorted(records_folder().iterdir())
    except OSError:
        return
    for folder in folders:
        if about := read_about(folder):
            yield folder, about


def _close(folder: Path, about: dict[str, Any], client: MlflowClient) -> Synced:
    with unless_owned(folder, about) as free, impatient(WHILE_SENDING):
        run_id, store = about.get("run_id"), str(about.get("store"))
        if not free or not folder.is_dir():
            return Synced(run_id, store, running=not free)
        journal = Journal(folder)  # again: now it is ours
        if run_id is None:
            run_id = _run_of(about, client)
            if run_id is None:
                journal.remove()
                return Synced(None, store)
            journal.describe({"run_id": run_id})
        delivery = Delivery(client, run_id, str(about["experiment_id"]))
        stale = (
            bool(about.get("owns_run"))
            and not _has_ended(journal)
            and not _is_shared(folder, run_id)
            and client.get_run(run_id).info.status == "RUNNING"
        )
        if stale:
            seen = journal.last_sign_ms
            journal.append("tags", values={"planar.ended": f"found stale: process {about.get('pid')} is gone"})
            journal.append("end", status="KILLED", time=seen)
            journal.describe({"ended": True})
        delivery.deliver(journal)
        result = Synced(
            run_id,
            store,
            sent=delivery.sent,
            left=len(journal.pending),
            refused=len(journal.refused),
            found_stale=stale,
            reason=delivery.failure,
        )
        put_away(journal)
        return result


def _has_ended(journal: Journal) -> bool:
    """Whether the run was ended before its process was gone, though MLflow may not know it yet."""
    return bool(journal.about.get("ended")) or any(op["op"] in ("end", "status") for op in journal.pending)


def _is_shared(folder: Path, run_id: str) -> bool:
    """Whether a process that is there records the same run, as in a cross-validation of several."""
    for other, about in _records():
        if other != folder and about.get("run_id") == run_id:
            with unless_owned(other, about) as free:
                if not free:
                    return True
    return False


def _run_of(about: dict[str, Any], client: MlflowClient) -> str | None:
    """The run that was made for a record and whose id was not written down any more."""
    found = client.search_runs([str(about["experiment_id"])], f"tags.`{RECORD_TAG}` = '{about['record']}'")
    return str(found[0].info.run_id) if found else None


def _client(uri: str) -> MlflowClient | str:
    """A client, or why there is none."""
    from mlflow import MlflowClient

    if "://…@" in uri:
        return "It needs a user and password: set MLFLOW_TRACKING_URI."
    try:
        with impatient():
            client = MlflowClient(tracking_uri=uri)
            client.search_experiments(max_results=1)
    except Exception as error:
        return reason_of(error)
    return client
