"""Time, processor time and memory of a command with all the processes that it starts."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.commands import PeerError

__all__ = ["Cost", "measured"]

LOOK_EVERY_S = 0.2
LAST_WORDS = 300


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes:
        seconds: Wall clock.
        processor_seconds: User and system, of all its processes.
        peak_mb: Highest sum of its processes' memory that was seen; memory that they share counts once
            (proportional set size).
    """

    seconds: float
    processor_seconds: float
    peak_mb: float


def measured(command: Sequence[str], log: Path, settings: Mapping[str, str]) -> Cost:
    """Run a command to its end.

    Args:
        command: Program and arguments.
        log: File that gets its output.
        settings: Its environment.
    Raises: PeerError: if it ends with another status than 0, with its last words.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    peak, spent = 0.0, {}
    with log.open("w", encoding="utf-8") as file:
        process = psutil.Popen(list(command), stdout=file, stderr=subprocess.STDOUT, env=dict(settings))
        while process.poll() is None:
            peak = max(peak, _look(process, spent))
            time.sleep(LOOK_EVERY_S)
    if process.returncode:
        words = " ".join(log.read_text(encoding="utf-8", errors="replace").split())[-LAST_WORDS:]
        raise PeerError(f"{' '.join(command[-6:])} ended with status {process.returncode}; see {log}: … {words}")
    return Cost(time.perf_counter() - began, sum(spent.values()), peak)


def _look(process: psutil.Process, spent: dict[tuple[int, float], float]) -> float:
    """Note what each process has spent so far; what all of them hold, MB."""
    held = 0.0
    with suppress(psutil.Error):
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                times = one.cpu_times()
                spent[one.pid, one.create_time()] = times.user + times.system
                held += getattr(one.memory_full_info(), "pss", 0) / 2**20
    return held
