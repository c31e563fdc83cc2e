"""Writing the runs of inferences that are over."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from pipeline.bundle import Bundle
from pipeline.tasks.infer.recording import open_recorder, tell_recorder
from pipeline.tasks.infer.sources import Refusal
from pipeline.tasks.infer.told import left_over, read, taken
from pipeline.tasks.workflow import quiet_libraries

__all__ = ["main", "write_told"]


def main() -> None:
    """What the process does that `start_writing` begins."""
    if hasattr(os, "nice"):
        os.nice(10)  # nobody waits for it
    write_told()


def write_told() -> tuple[int, list[str]]:
    """Write the run of each inference that is not written yet.

    Returns: How many were written, and why others were not.
    """
    before, called = Path.cwd(), sys.argv[0]
    written, reasons = 0, []
    for path in left_over():
        try:
            with taken(path) as free, quiet_libraries():
                if free:
                    _write(read(path))
                    path.unlink()
                    written += 1
        except Exception as error:  # the file stays, and the next command tries it again
            reasons.append(f"{path}: {' '.join(str(error).split()) or type(error).__name__}")
        finally:
            os.chdir(before)
            sys.argv[0] = called
    return written, reasons


def _write(told: dict[str, Any]) -> None:
    os.chdir(told["folder"])  # where MLflow keeps the artifacts of a SQLite store
    sys.argv[0] = told["called"]  # which the run names as its source
    root = Path(told["bundle"])
    weights = [Path(path) for path in told["weights"]]
    recorder = open_recorder(
        Bundle(root, told["name"]), weights, told["named"], Path(told["out"]), told["params"], uri=told["uri"]
    )
    try:
        refused = [Refusal(**one) for one in told["refused"]]
        tell_recorder(recorder, told["rows"], refused, told["seconds"], status=told.get("status", "FINISHED"))
    finally:
        recorder.close("FAILED")  # unless it was finished
