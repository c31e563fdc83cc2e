"""A contestant's process: started once, ready when it is warm, then told to work for a while and to rest."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.commands import THREAD_SETTINGS, PeerError, shown

__all__ = ["Contestant", "worker"]

LAST_WORDS = 300
PATIENCE_S = 5.0  # for a process that was told to end


class Contestant:
    """One process that takes turns with others; it sleeps while they work.

    Args:
        name: In tables.
        command: Program and arguments.
        log: File for what it prints.
        settings: Environment variables.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        self.command = [str(word) for word in command]
        environment = {key: value for key, value in os.environ.items() if key not in THREAD_SETTINGS} | dict(settings)
        log.parent.mkdir(parents=True, exist_ok=True)
        self._file = log.open("w", encoding="utf-8")
        self._file.write(f"$ {shown(self.command, settings)}\n")
        self._file.flush()
        # A session of its own: loaders' processes end with it, whatever they wait for.
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._file,
            env=environment,
            text=True,
            bufsize=1,
            start_new_session=True,
        )

    def ready(self, patience_s: float) -> dict[str, Any]:
        """Wait until it is warm; what it tells of itself, and the seconds that it took.

        Raises: PeerError: if it ends or takes longer than it may.
        """
        began = time.perf_counter()
        told = self._line(patience_s)
        return {**told["ready"], "seconds_until_ready": time.perf_counter() - began}

    def turn(self, seconds: float, patience_s: float) -> dict[str, Any]:
        """Let it work for about so long; what it did.

        Raises: PeerError: see `ready`.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"seconds": seconds}) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise self._failed("ended") from None
        return self._line(patience_s)

    def _line(self, patience_s: float) -> dict[str, Any]:
        stream = self._process.stdout
        assert stream is not None
        if not select.select([stream], [], [], patience_s)[0]:
            raise self._failed(f"took longer than {patience_s:.0f} s")
        line = stream.readline()
        if not line:
            raise self._failed("ended")
        told: dict[str, Any] = json.loads(line)
        return told

    def _failed(self, how: str) -> PeerError:
        self.end()
        last = " ".join(self.log.read_text(encoding="utf-8", errors="replace").split())[-LAST_WORDS:]
        return PeerError(f"{self.name} {how}; see {self.log}. Last words: … {last}")

    def end(self) -> None:
        """End it and all that it has started."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=PATIENCE_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._file.close()

    def __enter__(self) -> Contestant:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def worker(module: str, settings: Mapping[str, Any], file: Path, python: str | Path = sys.executable) -> list[str]:
    """The command of one of `benchmarks.speed.workers`, with its settings in a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return [str(python), "-m", f"benchmarks.speed.workers.{module}", str(file)]
