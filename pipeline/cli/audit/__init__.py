"""`planar audit`."""

from __future__ import annotations

import click

from pipeline.cli.lazy_group import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "verify": (
        "pipeline.cli.audit.verify",
        "Is what was recorded still true? PASS, FAIL or INCOMPLETE, with each changed file.",
    ),
    "diff": ("pipeline.cli.audit.diff", "What differs between two runs: data, config, code, versions, metrics."),
    "export": ("pipeline.cli.audit.export", "All that is needed to check a run elsewhere, in one zip file."),
}


@click.group("audit", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Check what is recorded of a run, months later and on another machine.

    RUN is the id of a run, the beginning of one that no other has, or its name; `planar runs` lists them.
    """
