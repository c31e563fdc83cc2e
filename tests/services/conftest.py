"""Programs that tests here need, each for all of them; where one is not installed they are skipped with the reason."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow_server import MlflowServer
from planar_shell import Shell
from postgres import Postgres, why_not
from servers import GUARDED_RUNS, RUNS, USERS, Guarded

from benchmarks.orthanc import Orthanc, why_no_orthanc


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A cluster of the tests' own."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed: pip install 'planar[services]'")
    cluster = Postgres()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def server(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """`mlflow server` on PostgreSQL, with its artifacts over HTTP."""
    yield from _served(MlflowServer(tmp_path_factory.mktemp("server"), backend=postgres.create(RUNS)))


@pytest.fixture(scope="session")
def guarded(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """`mlflow server` with basic auth on PostgreSQL: its runs in one database, its users in another."""
    pytest.importorskip("flask_wtf", reason="Flask-WTF is not installed: pip install 'planar[services]'")
    folder = tmp_path_factory.mktemp("guarded")
    config = folder / "auth.ini"
    # NO_PERMISSIONS: a user sees and changes nothing but what is theirs.
    config.write_text(
        "[mlflow]\n"
        "default_permission = NO_PERMISSIONS\n"
        f"database_uri = {postgres.create(USERS)}\n"
        "admin_username = admin\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        # Else each of a command's hundreds of requests hashes the password anew, on purpose slowly.
        "auth_cache_ttl_seconds = 60\n"
    )
    config.chmod(0o600)
    admin_password, password = secrets.token_hex(12), f"pw-{secrets.token_hex(12)}"
    server = MlflowServer(
        folder,
        backend=postgres.create(GUARDED_RUNS),
        options=["--app-name", "basic-auth"],
        settings={
            "MLFLOW_AUTH_CONFIG_PATH": str(config),
            "MLFLOW_AUTH_ADMIN_PASSWORD": admin_password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
        },
    )
    for _ in _served(server):
        _create_user(server, admin_password, "radiographer", password)
        yield Guarded(server, "radiographer", password, admin_password)


@pytest.fixture
def shell(server: MlflowServer, tmp_path: Path) -> Shell:
    """A shell whose commands use the server on PostgreSQL."""
    return Shell(tmp_path, server.uri)


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """An empty archive."""
    yield from _archive(Orthanc(_where(tmp_path)))


@pytest.fixture
def guarded_orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """An empty archive that asks who one is."""
    yield from _archive(Orthanc(_where(tmp_path), users={"radiographer": f"pw-{secrets.token_hex(12)}"}))


def _where(folder: Path) -> Path:
    if (reason := why_no_orthanc()) is not None:
        pytest.skip(reason)
    return folder / "orthanc"


def _archive(archive: Orthanc) -> Iterator[Orthanc]:
    try:
        archive.start()
        yield archive
    finally:
        archive.stop()


def _served(server: MlflowServer) -> Iterator[MlflowServer]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _create_user(server: MlflowServer, admin_password: str, user: str, password: str) -> None:
    import requests

    done = requests.post(
        f"{server.uri}/api/2.0/mlflow/users/create",
        json={"username": user, "password": password},
        auth=("admin", admin_password),
        timeout=60,
    )
    assert done.status_code == 200, done.text
