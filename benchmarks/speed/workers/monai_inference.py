"""A MONAI bundle's inference config as `python -m monai.bundle run` runs it, over and over: python -m … SETTINGS."""

from benchmarks.speed.workers.turns import Channel, FileTurns, settings


def main():
    """Predict all files in each turn."""
    channel, given = Channel(), settings()

    from ignite.engine import Events
    from monai.bundle import ConfigWorkflow

    workflow = ConfigWorkflow(
        config_file=given["config"],
        workflow_type="infer",
        logging_file=False,
        bundle_root=given["bundle_root"],
        **given["overrides"],
    )
    workflow.initialize()
    evaluator = workflow.parser.get_parsed_content("evaluator")
    turns = FileTurns(channel)
    # Masks are written when the model has finished, before the iteration has.
    evaluator.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: turns.file(len(engine.state.batch)))
    for _ in turns.passes():
        evaluator.state.epoch = evaluator.state.iteration = 0
        evaluator.run()


if __name__ == "__main__":
    main()
