"""A PostgreSQL cluster of the tests' own, on the loopback interface."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from mlflow_server import free_port

__all__ = ["Postgres", "find_postgres", "why_not"]

# PostgreSQL does not run as root; Debian's packages make this user.
SYSTEM_USER = "postgres"
USER = "planar"


def find_postgres() -> Path | None:
    """The folder of PostgreSQL's own programs, which Debian keeps off the PATH; the newest version's."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda folder: float(folder.parent.name), default=None)


def why_not() -> str | None:
    """Why no cluster can be had here, in one line; None if one can."""
    if os.name == "nt":
        return "processes are stopped otherwise on Windows"
    if find_postgres() is None:
        return "PostgreSQL is not installed (neither on the PATH nor in /usr/lib/postgresql): make test-services"
    if os.geteuid() == 0 and not _has_system_user():
        return f"PostgreSQL does not run as root, and there is no user {SYSTEM_USER}"
    return None


class Postgres:
    """A new cluster in a folder of its own, with a password; `stop` takes both away."""

    def __init__(self) -> None:
        binaries = find_postgres()
        assert binaries is not None, why_not()
        self.binaries = binaries
        self.port = free_port()
        self.password = secrets.token_hex(16)
        # As root everything is done as the system's user, who may not look into pytest's folders.
        self._as: dict[str, Any] = (
            {"user": SYSTEM_USER, "group": SYSTEM_USER, "extra_groups": []} if os.geteuid() == 0 else {}
        )
        self.folder = Path(tempfile.mkdtemp(prefix="planar-postgres-"))
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._initialise()
        except BaseException:
            self._remove()
            raise

    def start(self) -> None:
        """Start it and wait until it answers."""
        import psycopg2

        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "60",
            "fsync": "off",  # a power cut is not what is tested
        }
        command = [str(self.binaries / "postgres"), "-D", str(self.folder / "data")]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True, **self._as
            )
        until = time.monotonic() + 120
        while time.monotonic() < until and self._process.poll() is None:
            try:
                psycopg2.connect(self.uri("postgres")).close()
                return
            except psycopg2.OperationalError:
                time.sleep(0.2)
        said = self.log.read_text()[-2000:]
        self.halt()
        raise RuntimeError(said)

    def halt(self) -> None:
        """Stop it as an administrator would, and keep its data."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # "fast": connections are cut
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)  # "immediate"
                self._process.wait(30)
        self._process = None

    def stop(self) -> None:
        """Stop it and take its data away."""
        try:
            self.halt()
        finally:
            self._remove()

    def uri(self, database: str) -> str:
        """A database as psycopg2 takes it, with the password."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database.

        Returns: Its URI as MLflow takes it. SQLAlchemy 2.1 takes `postgresql://` alone for the driver psycopg 3.
        """
        import psycopg2

        connection = psycopg2.connect(self.uri("postgres"))
        try:
            connection.autocommit = True  # a database cannot be made within a transaction
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{database}"')
        finally:
            connection.close()
        return self.uri(database).replace("://", "+psycopg2://", 1)

    def rows(self, database: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds."""
        import psycopg2

        connection = psycopg2.connect(self.uri(database))
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def text(self, database: str) -> str:
        """All rows of all tables, for a search."""
        tables = self.rows(database, "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = 'public'")
        return "\n".join(
            str(row[0])
            for schema, table in tables
            for row in self.rows(database, f'SELECT t::text FROM "{schema}"."{table}" AS t')
        )

    def _initialise(self) -> None:
        key = self.folder / "password"
        key.write_text(self.password + "\n")
        if self._as:
            for path in (self.folder, key):
                shutil.chown(path, SYSTEM_USER, SYSTEM_USER)
        command = [str(self.binaries / "initdb"), "-D", str(self.folder / "data"), "-U", USER]
        command += ["--auth=scram-sha-256", f"--pwfile={key}", "--encoding=UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, **self._as)
        if done.returncode:
            raise RuntimeError(f"initdb: {done.stdout[-500:]}{done.stderr[-1500:]}")

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _has_system_user() -> bool:
    import pwd

    return any(user.pw_name == SYSTEM_USER for user in pwd.getpwall())
