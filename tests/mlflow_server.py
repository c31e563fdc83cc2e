"""A real `mlflow server` on the loopback interface, which can be stopped, started again and made to hang."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["MlflowServer", "free_port"]

# Of this shell, what would lead the server to another store, or let it ask for a password.
FOREIGN = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class MlflowServer:
    """Serves a store and, over HTTP, its artifacts; all processes that it starts are in a group of its own.

    Args:
        folder: Of its log and artifacts.
        backend: URI of the store, which may hold a password; SQLite in the folder by default.
        options: Of `mlflow server`, next to those that are always given.
        settings: Environment variables of the server.
    """

    def __init__(
        self,
        folder: Path,
        *,
        backend: str | None = None,
        options: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.options = [*options]
        # In the environment and not among the arguments, which every user of the machine sees.
        self.settings = {"MLFLOW_BACKEND_STORE_URI": backend or f"sqlite:///{folder / 'server.db'}", **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def artifacts(self) -> Path:
        """Where the artifacts lie."""
        return self.folder / "artifacts"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "server.log"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--serve-artifacts", "--artifacts-destination", str(self.artifacts)]
        environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **self.settings}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self.options],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=environment,
            )
        until = time.monotonic() + 600
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.5)
        self.stop()
        raise RuntimeError(self.log.read_text()[-2000:])

    def stop(self) -> None:
        """End it as a crash would."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.wait()
        self._process = None

    def signal(self, number: int) -> None:
        """Signal all of its processes."""
        assert self._process is not None
        os.killpg(self._process.pid, number)
