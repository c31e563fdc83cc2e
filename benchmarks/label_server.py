"""A real server of MONAI Label on the loopback interface, and its own client."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from benchmarks.orthanc import free_port

__all__ = ["PLANAR", "LabelServer", "client_of", "serving_a_copy"]

FOREIGN = ("MLFLOW_TRACKING_URI", "PLANAR_TRACEBACK")
# What `planar` is in a shell.
PLANAR = "import sys; sys.argv[0] = 'planar'; from pipeline.cli import main; main()"


class LabelServer:
    """`planar label start`, or MONAI Label's own command; all its processes are in a group of its own.

    Args:
        folder: Of its log and its working folder.
        arguments: Of the command, without host, port and working folder.
        settings: Environment variables.
        stock: An app of MONAI Label's own, to be started with `monailabel start_server`.
    """

    def __init__(
        self,
        folder: Path,
        arguments: Sequence[str | Path],
        settings: Mapping[str, str] | None = None,
        *,
        stock: Path | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.work = stock or folder / "work"
        self.log = folder / "server.log"
        self._settings = dict(settings or {})
        place = ["--host", "127.0.0.1", "--port", str(self.port)]
        if stock is not None:
            command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(stock), *place]
        else:
            command = [sys.executable, "-c", PLANAR, "label", "start", "--work", str(self.work), *place]
        self._command = [*command, *map(str, arguments)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 240) -> LabelServer:
        """Start it and wait until it answers."""
        environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        environment |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "HOME": str(self.folder)}
        environment |= {"PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), _root()]))}
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env={**environment, **self._settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if requests.get(f"{self.uri}/openapi.json", timeout=5).status_code in (200, 401):
                    return self
            except requests.RequestException:
                time.sleep(0.3)
        self.stop()
        raise RuntimeError(self.log.read_text()[-3000:])

    @property
    def pid(self) -> int:
        """Its first process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, with SIGKILL as a crash would."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._process = None

    @property
    def client(self) -> Any:
        """MONAI Label's own client."""
        return client_of(self.uri, self.folder)

    def wait_for(self, kind: str, seconds: float = 600) -> dict[str, Any]:
        """The last task of a kind ("train", "batch/infer") when it has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            answer = requests.get(f"{self.uri}/{kind}/" if kind == "train" else f"{self.uri}/{kind}", timeout=30)
            if answer.status_code == 200 and answer.json()["status"] not in ("SUBMITTED", "RUNNING"):
                return answer.json()
            time.sleep(0.5)
        raise TimeoutError(kind)


@contextmanager
def serving_a_copy(films: Path, folder: Path, bundle: str) -> Iterator[LabelServer]:
    """A server on a copy of some films, which `folder/studies` then is."""
    shutil.copytree(films, folder / "studies")
    running = LabelServer(folder, ["--studies", folder / "studies", "--bundle", bundle])
    try:
        yield running.start()
    finally:
        running.stop()


def client_of(uri: str, folder: Path) -> Any:
    """A client with a temporary folder of its own, below `folder`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports cgi
        from monailabel.client import MONAILabelClient

    return MONAILabelClient(uri, tempfile.mkdtemp(prefix="client-", dir=folder))


def _root() -> str:
    return str(Path(__file__).parent.parent)
