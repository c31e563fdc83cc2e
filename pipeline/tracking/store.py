"""Opening an MLflow store: where it is, how long one waits for it, and what is said if it is not there."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import TrackingUnreachable

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "impatient",
    "is_refusal_of_user",
    "open_store",
    "reason_of",
    "require_there",
    "store_name",
    "store_uri",
    "tracking_uri",
    "unreachable",
    "without_password",
]

# MLflow prints the run's address when it is ended, with the password if the URI holds one.
QUIET = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
# To tell at once that a server is not there; MLflow would try for four minutes.
AT_THE_START = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15", **QUIET}
# To notice soon that a server is back: the sender tries again by itself.
WHILE_SENDING = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", **QUIET}
# Of an experiment that is made: MLflow's pages then are those for trained models and not for language models, and say
# what stands there.
EXPERIMENT = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": "val_mean_dice",
    "mlflow.note.content": "Trainings, evaluations and inferences recorded by Planar. `planar runs` lists them, "
    "`planar audit verify RUN` checks whether one is still true.",
}
# What a server with users answers, by the HTTP status.
REFUSALS = {
    401: "It needs a user and a password that it knows: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.",
    403: "The user has no right to do this there: ask for it, or choose another experiment (experiment_name=NAME).",
}


def tracking_uri(configured: str | None = None) -> str:
    """Where runs are recorded: `MLFLOW_TRACKING_URI`, else what the bundle says, else SQLite in the working folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or configured or f"sqlite:///{Path.cwd() / 'mlruns.db'}"


def store_uri(text: str) -> str:
    """A store as a user names it: a URI as it is, and the path of a SQLite file as its URI."""
    is_file = "://" not in text and (Path(text).is_file() or Path(text).suffix in (".db", ".sqlite", ".sqlite3"))
    return f"sqlite:///{Path(text).absolute()}" if is_file else text


def require_there(uri: str) -> None:
    """Raise TrackingUnreachable for a SQLite store or folder that is not there: MLflow would make an empty one."""
    file = re.fullmatch(r"sqlite:///(.+)", uri)
    # "databricks" and the like are names; "localhost:5000" without "http://" would be a folder.
    is_path = "://" not in uri and not uri.startswith(("databricks", "uc"))
    if (file and not Path(file[1]).is_file()) or (is_path and not Path(uri.removeprefix("file:")).is_dir()):
        raise TrackingUnreachable(
            f"{uri}: there is no such store. Say where the runs are with --store or MLFLOW_TRACKING_URI: a SQLite file "
            "(mlruns.db) or a server's address (http://…); or call it in the folder that mlruns.db is in."
        )


def without_password(text: str) -> str:
    """A line in which the user and password of a URI are replaced by dots."""
    return re.sub(r"://[^/@\s]+@", "://…@", text)


def store_name(uri: str) -> str:
    """A URI as it is written down: without its password, and a SQLite file by its absolute path."""
    file = re.fullmatch(r"sqlite:///([^/].*)", uri)
    return f"sqlite:///{Path(file[1]).absolute()}" if file else without_password(uri).rstrip("/")


def open_store(uri: str, experiment: str) -> tuple[MlflowClient, str]:
    """A client and the id of an experiment, which is made if there is none of the name.

    Raises: TrackingUnreachable: if the store cannot be opened, with what to do.
    """
    # MLflow answers the creation of a SQLite store with a page of migration messages.
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        with impatient():
            client = MlflowClient(tracking_uri=uri)
            found = client.get_experiment_by_name(experiment)
            if found is not None:
                return client, found.experiment_id
            try:
                return client, client.create_experiment(experiment, tags=EXPERIMENT)
            except MlflowException:
                # Another process may have made it in between.
                found = client.get_experiment_by_name(experiment)
                if found is None:
                    raise
                return client, found.experiment_id
    except Exception as error:
        raise unreachable(uri, error) from error


def unreachable(uri: str, error: BaseException) -> TrackingUnreachable:
    """The line for a store that cannot be used."""
    advice = "Start the server, or set MLFLOW_TRACKING_URI, or run with --no-tracking."
    what_to_do = "" if is_refusal_of_user(error) else f" {advice}"
    return TrackingUnreachable(f"MLflow at {without_password(uri)} cannot be used: {reason_of(error)}{what_to_do}")


def is_refusal_of_user(error: BaseException) -> bool:
    """Whether the server is there and wants another user, or one with more rights."""
    return _refusal_in(error) is not None


def reason_of(error: BaseException) -> str:
    """What the operating system said at the bottom of it ("Connection refused."), else the error's first line."""
    if (refusal := _refusal_in(error)) is not None:
        return refusal
    deepest = _chain(error)[-1]
    said = getattr(deepest, "strerror", None)
    lines = f"{said}." if said else str(error).strip() or type(error).__name__
    return without_password(lines.splitlines()[0])


def _refusal_in(error: BaseException) -> str | None:
    """What to say of an answer 401 or 403: MLflow's own errors have a code for it, those of artifacts the answer."""
    codes = {"UNAUTHENTICATED": 401, "CUSTOMER_UNAUTHORIZED": 401, "PERMISSION_DENIED": 403}
    for one in _chain(error):
        status = getattr(getattr(one, "response", None), "status_code", None)
        if (said := REFUSALS.get(codes.get(str(getattr(one, "error_code", None)), status or 0))) is not None:
            return said
    return None


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what it comes from, the deepest last."""
    found = [error]
    while (inner := found[-1].__cause__ or found[-1].__context__) is not None:
        found.append(inner)
    return found


_held: list[dict[str, str]] = []
_hold_lock = threading.RLock()
_before: dict[str, str | None] = {}


@contextmanager
def impatient(settings: dict[str, str] | None = None) -> Iterator[None]:
    """Within it MLflow waits for servers as these settings say; what the user has set stays.

    MLflow reads the environment at each request, and that is the whole process's: of several holders, in whatever order
    they come and go, the latest that is left counts, and after the last one all is as it was.

    Args:
        settings: MLflow's variables; those of a start by default.
    """
    mine = dict(AT_THE_START if settings is None else settings)
    with _hold_lock:
        _held.append(mine)
        _apply()
    try:
        yield
    finally:
        with _hold_lock:
            _held[:] = [held for held in _held if held is not mine]
            _apply()


def _apply() -> None:
    """Set the environment by what is held now."""
    wanted: dict[str, str] = {}
    for settings in _held:
        wanted |= settings
    for name in wanted.keys() - _before.keys():
        _before[name] = os.environ.get(name)
    for name, before in list(_before.items()):
        value = before if before is not None else wanted.get(name)
        if value is not None:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
        if name not in wanted:
            del _before[name]
