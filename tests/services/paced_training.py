"""A training whose epochs take a given time at least: python paced_training.py DATALIST FOLDER SECONDS KEY=VALUE..."""

import sys
import time
from pathlib import Path
from typing import Any

from ignite.engine import Events

from pipeline.tasks.train import train


class Pace:
    """Waits at the end of each epoch until the time is over."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.began = 0.0

    def attach(self, engine: Any) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.begin)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.wait)

    def begin(self, engine: Any) -> None:
        self.began = time.monotonic()

    def wait(self, engine: Any) -> None:
        time.sleep(max(0.0, self.began + self.seconds - time.monotonic()))


if __name__ == "__main__":
    datalist, folder, seconds, *settings = sys.argv[1:]
    pace = Pace(float(seconds))
    result = train("cxr_lung_segmentation", Path(datalist), Path(folder), settings, handlers=[pace])
    print(*result.notes, f"MLflow: run {result.run_id}", sep="\n")
