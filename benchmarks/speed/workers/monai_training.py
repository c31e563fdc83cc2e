"""A MONAI bundle's train config as `python -m monai.bundle run` runs it: python -m … SETTINGS."""

from benchmarks.speed.workers.turns import Channel, StepTurns, pictures_of, settings


def main():
    """Train until told to stop."""
    channel, given = Channel(), settings()

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
    trainer = workflow.parser.get_parsed_content("train#trainer")
    turns = StepTurns(channel, given["warm"], given["settle"], lambda: {"threads": torch.get_num_threads()})
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: turns.step(pictures_of(engine.state.batch)))
    workflow.run()


if __name__ == "__main__":
    main()
