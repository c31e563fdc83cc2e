"""`planar infer`, over and over in one process: python -m … SETTINGS."""

from pathlib import Path

from benchmarks.speed.workers.turns import Channel, FileTurns, settings


def main():
    """Predict all files in each turn."""
    import pipeline.cli.main  # noqa: F401 - says how threads wait, as the command does

    channel, given = Channel(), settings()

    from pipeline.tasks.infer import infer

    turns = FileTurns(channel)
    seen = [0]

    def count(done, total, name):
        turns.file(max(0, done - seen[0]))
        seen[0] = done

    for _ in turns.passes():
        seen[0] = 0
        result = infer(
            given["bundle"],
            [given["images"]],
            Path(given["out"]),
            test_time_flips=given["flips"],
            gate=False,
            overwrite=True,
            overrides=given["overrides"],
            on_progress=count,
        )
        turns.took(result.seconds)


if __name__ == "__main__":
    main()
