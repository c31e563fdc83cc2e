"""`planar data`."""

from __future__ import annotations

import click

from pipeline.cli.lazy_group import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "list": ("pipeline.cli.data.list_sets", "The public sets that the tasks come from: size, terms, how to get them."),
    "get": ("pipeline.cli.data.get", "Fetch a public set, check it, and index it."),
}


@click.group("data", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Public image sets, as their publishers give them; their terms are shown and must be accepted first."""
