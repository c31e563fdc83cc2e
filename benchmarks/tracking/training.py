"""One training with its clock: python -m benchmarks.tracking.training BUNDLE DATALIST FOLDER on|off KEY=VALUE...

All paths are absolute. Writes `FOLDER/times.json`; the trained bundle is in `FOLDER/bundle`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["EpochClock", "main"]


class EpochClock:
    """Ignite handler for a trainer: when its epochs begin and end, as wall clock and as time of the processors.

    Attach it behind the others: an epoch then ends when it was validated, kept and recorded.
    """

    def __init__(self) -> None:
        self.began: list[tuple[float, float]] = []
        self.ended: list[tuple[float, float]] = []

    def attach(self, engine: Any) -> None:
        """Attach to a trainer."""
        from ignite.engine import Events

        engine.add_event_handler(Events.EPOCH_STARTED, lambda _: self.began.append(now()))
        engine.add_event_handler(Events.EPOCH_COMPLETED, lambda _: self.ended.append(now()))


def now() -> tuple[float, float]:
    """Wall clock, and processor time of this process, its threads and the children that have ended, s."""
    return time.perf_counter(), sum(os.times()[:4])


def main(bundle: str, datalist: str, folder: str, tracked: str, *settings: str) -> None:
    """Train, and write the times down."""
    first = now()
    from pipeline.tasks.train import train

    clock = EpochClock()
    out = Path(folder) / "bundle"
    os.chdir(Path(folder).parent)  # a SQLite store has its artifacts in the working folder
    train(bundle, Path(datalist), out, settings, tracking=tracked == "on", handlers=[clock])
    last = now()
    times = {
        "tracked": tracked == "on",
        "before_s": clock.began[0][0] - first[0],
        "epochs_s": [end[0] - start[0] for start, end in zip(clock.began, clock.ended, strict=True)],
        # From the first to the last: what happens between two epochs counts too.
        "loop_s": clock.ended[-1][0] - clock.began[0][0],
        "loop_cpu_s": clock.ended[-1][1] - clock.began[0][1],
        "after_s": last[0] - clock.ended[-1][0],
        "whole_s": last[0] - first[0],
        "whole_cpu_s": last[1] - first[1],
    }
    (Path(folder) / "times.json").write_text(json.dumps(times, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
