"""A bundle's train config by one process, or its multi_gpu_train config by one of torchrun's: python -m … SETTINGS.

The first process takes the turns; the others wait for it in the exchange of gradients.
"""

import os

from benchmarks.speed.workers.turns import Channel, StepTurns, settings


class _Follower:
    """In the place of the turns, in all processes but the first."""

    def step(self, images):
        """Nothing to count."""


def main():
    """Train until told to stop."""
    import pipeline.cli.main  # noqa: F401 - says how threads wait, as the command does

    first, world = int(os.environ.get("RANK", "0")) == 0, int(os.environ.get("WORLD_SIZE", "1"))
    channel, given = Channel() if first else None, settings()
    if not first:
        os.dup2(2, 1)  # the first process's channel is the same standard output

    import torch
    from ignite.engine import Events
    from monai.bundle import ConfigWorkflow

    workflow = ConfigWorkflow(
        config_file=given["config"],
        workflow_type="train",
        logging_file=False,
        bundle_root=given["bundle_root"],
        **given["overrides"],
    )
    workflow.initialize()
    torch.set_num_threads(given["threads"])
    trainer = workflow.parser.get_parsed_content("train#trainer")
    facts = {"threads": given["threads"], "processes": world}
    turns = StepTurns(channel, given["warm"], given["settle"], lambda: facts) if first else _Follower()
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda _: turns.step(given["batch"] * world))
    try:
        workflow.run()
    finally:
        if not first:
            os._exit(0)  # the first process is gone: there is nobody to take leave of


if __name__ == "__main__":
    main()
