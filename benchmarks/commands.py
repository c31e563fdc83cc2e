"""Running another program: its output in a log, its time, and its last words if it fails."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import PlanarError

__all__ = ["PeerError", "commands_in", "run_logged", "shown"]

# What would let one of the peers compute with fewer threads than the other.
THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LAST_WORDS = 300


class PeerError(PlanarError, RuntimeError):
    """A program of one of the peers that did not end well."""


def run_logged(command: Sequence[str | Path], log: Path, settings: Mapping[str, str] | None = None) -> float:
    """Run a program to its end.

    Args:
        command: Program and arguments.
        log: File that gets its output, after the command itself.
        settings: Environment variables to set; limits on threads in this shell are not handed on.
    Returns: Wall clock from its start to its end, s.
    Raises: PeerError: if it cannot be started or ends with a status other than 0, with its last words.
    """
    words = [str(word) for word in command]
    environment = {name: value for name, value in os.environ.items() if name not in THREAD_SETTINGS}
    environment |= settings or {}
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    with log.open("w", encoding="utf-8") as file:
        file.write(f"$ {shown(words, settings)}\n")
        file.flush()
        try:
            done = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, env=environment, check=False)
        except OSError as error:
            raise PeerError(f"{words[0]} cannot be run: {error.strerror}.") from error
    seconds = time.perf_counter() - began
    if done.returncode:
        last = " ".join(log.read_text(encoding="utf-8", errors="replace").split())[-LAST_WORDS:]
        raise PeerError(f"{Path(words[0]).name} ended with status {done.returncode}; see {log}. Last words: … {last}")
    return seconds


def shown(command: Sequence[str], settings: Mapping[str, str] | None = None) -> str:
    """The command as one line for a shell."""
    return " ".join(
        [*(f"{name}={shlex.quote(value)}" for name, value in (settings or {}).items()), shlex.join(command)]
    )


def commands_in(logs: Path, names: Mapping[str, str]) -> dict[str, str]:
    """The commands whose logs are in a folder, by the log's name.

    Args:
        logs: The folder.
        names: What to write in place of paths of this machine: path → name.
    """
    found = {}
    for log in sorted(logs.glob("*.log")):
        with log.open(encoding="utf-8", errors="replace") as file:
            line = file.readline().strip().removeprefix("$ ")
        # The longest first, so that a folder does not hide what is in it.
        for path in sorted(names, key=len, reverse=True):
            line = line.replace(path, names[path])
        found[log.stem] = line
    return found
