"""A training whose epochs take a second at least, and which ends when a file of the name `enough` is there.

python paced_training.py DATALIST FOLDER KEY=VALUE...
"""

import sys
import time
from pathlib import Path
from typing import Any

from ignite.engine import Events

from pipeline.tasks.train import train

EPOCH_S = 1.0


class Pace:
    """Waits at the end of each epoch until its time is over."""

    def __init__(self, enough: Path) -> None:
        self.enough = enough
        self.began = 0.0

    def attach(self, engine: Any) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.begin)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.wait)

    def begin(self, engine: Any) -> None:
        self.began = time.monotonic()

    def wait(self, engine: Any) -> None:
        time.sleep(max(0.0, self.began + EPOCH_S - time.monotonic()))
        if self.enough.exists():
            engine.terminate()


if __name__ == "__main__":
    datalist, folder, *settings = sys.argv[1:]
    result = train("cxr_lung_segmentation", Path(datalist), Path(folder), settings, handlers=[Pace(Path("enough"))])
    print(*result.notes, f"MLflow: run {result.run_id}", sep="\n")
