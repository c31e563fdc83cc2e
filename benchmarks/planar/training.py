"""The process that trains Planar's bundle: `planar train` with an eye on the clock."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from benchmarks.planar.clock import WallClock
from pipeline.atomic import write_text_aside


def main() -> None:
    """Train, and write what was done as JSON."""
    began = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--deadline", type=float, required=True, help="seconds since 1970")
    parser.add_argument("--enough-epochs", type=int, help="end after so many epochs beyond the first …")
    parser.add_argument("--enough-seconds", type=float, default=0.0, help="… or after this time since the first")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_intermixed_args()

    import torch

    from pipeline.tasks.train import train

    clock = WallClock(given.deadline, given.enough_epochs, given.enough_seconds)
    result = train(given.bundle, given.data, given.out, given.overrides, tracking=False, handlers=[clock])
    weights = result.bundle.weights
    state = torch.load(weights, map_location="cpu", weights_only=True) if weights.is_file() else {}
    report = {
        "process_began": began,
        "epoch_ends": clock.epoch_ends,
        "epochs": len(clock.epoch_ends),
        "steps": clock.steps,
        "stopped_by_clock": clock.stopped,
        "best_epoch": result.best_epoch,
        "best_validation_dice": result.best_metric if result.best_epoch else None,
        "parameters": sum(value.numel() for value in state.values() if value.is_floating_point()),
        "threads": torch.get_num_threads(),
        "ended": clock.ended or time.time(),
    }
    write_text_aside(given.report, json.dumps(report, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
