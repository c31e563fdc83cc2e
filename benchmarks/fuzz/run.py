"""Damage files and read each in a process that may crash or hang."""

from __future__ import annotations

import json
import random
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.fuzz.mutations import mutate

__all__ = ["BAD", "MIB", "SECONDS", "fuzz"]

# What a file may take: seconds of the processor, and memory of the whole process.
SECONDS, MIB = 10.0, 2048
# What must not happen: another error than Planar's, or one that is not one line; the end of the process; too long; too
# much memory.
BAD = ("error", "unclear", "crash", "hang", "memory")
# A file is read in several ways, and beside other programs a second of work takes longer.
PATIENCE = 30


def fuzz(files: Sequence[Path], number: int, *, seed: int = 0, keep: Path | None = None) -> Iterator[dict[str, Any]]:
    """Damage files and read them.

    Args:
        files: Whole files.
        number: How many damaged ones to make of them.
        seed: The same seed damages the same files alike.
        keep: Folder for damaged files that were not handled well.
    Returns: For each file the outcome ("read", "refused" or one of `BAD`), what was said, seconds, and memory in MiB.
    """
    rng = random.Random(seed)
    reader = _Reader()
    try:
        with tempfile.TemporaryDirectory(prefix="planar-fuzz-") as folder:
            for count in range(number):
                source = rng.choice(files)
                damage, content = mutate(rng, source.read_bytes())
                path = Path(folder) / f"damaged{count}.dcm"
                path.write_bytes(content)
                result = reader.read(path) | {"number": count, "source": source.name, "damage": damage}
                if result["seconds"] > SECONDS:
                    result["outcome"] = "hang"
                elif result["peak_mib"] > MIB:
                    result["outcome"] = "memory"
                if keep is not None and result["outcome"] in BAD:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{seed}-{count}-{source.name}").write_bytes(content)
                path.unlink()
                yield result
    finally:
        reader.end()


class _Reader:
    """A process that reads files, started again when it has died."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def read(self, path: Path) -> dict[str, Any]:
        """How reading a file went."""
        process = self.process or self._start()
        assert process.stdin is not None
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        line = _line(process, SECONDS * PATIENCE)
        if line:
            return dict(json.loads(line))
        status = self.end()
        outcome = "hang" if line is None else "crash"
        return {"outcome": outcome, "said": f"status {status}", "seconds": SECONDS, "peak_mib": 0}

    def end(self) -> int | None:
        """End the process; its status."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        return process.wait()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmarks.fuzz.reading"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        _line(self.process, SECONDS * PATIENCE)
        return self.process


def _line(process: subprocess.Popen[str], seconds: float) -> str | None:
    """The next line: "" if the process has ended, None if nothing came in time."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline() if selector.select(seconds) else None
