"""`planar train` without its MLflow record: python -m … SETTINGS."""

import shutil
from pathlib import Path

from benchmarks.speed.workers.turns import Channel, StepTurns, pictures_of, settings


class Counted:
    """Ignite handler of the trainer: a step is done."""

    def __init__(self, turns):
        self.turns = turns

    def attach(self, engine):
        """Attach to a trainer."""
        from ignite.engine import Events

        engine.add_event_handler(
            Events.ITERATION_COMPLETED, lambda engine: self.turns.step(pictures_of(engine.state.batch))
        )


def main():
    """Train until told to stop."""
    import pipeline.cli.main  # noqa: F401 - says how threads wait, as the command does

    channel, given = Channel(), settings()

    import torch

    from pipeline.tasks.train import train

    shutil.rmtree(given["out"], ignore_errors=True)  # of a benchmark before, in the same folder
    turns = StepTurns(channel, given["warm"], given["settle"], lambda: {"threads": torch.get_num_threads()})
    train(
        given["bundle"],
        Path(given["datalist"]),
        Path(given["out"]),
        given["overrides"],
        tracking=False,
        handlers=[Counted(turns)],
    )


if __name__ == "__main__":
    main()
