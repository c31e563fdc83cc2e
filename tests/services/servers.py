"""Names that the fixtures and the tests here share."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow_server import MlflowServer

__all__ = ["GUARDED_RUNS", "RUNS", "USERS", "Guarded"]

# The database of the runs of each server.
RUNS, GUARDED_RUNS, USERS = "runs", "guarded_runs", "users"


@dataclass(frozen=True)
class Guarded:
    """A server with MLflow's basic auth, and who may use it.

    Attributes:
        server: The server.
        user: A user who is no administrator.
        password: Of that user.
        admin_password: Of the user "admin".
    """

    server: MlflowServer
    user: str
    password: str
    admin_password: str
