"""`planar data list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.public_sets import PublicSet

__all__ = ["command", "how_to_get"]


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="All that is known of each, as JSON.")
def command(as_json: bool) -> int:
    """The public sets that the tasks come from."""
    import dataclasses
    import json

    from pipeline.public_sets import shipped_sets

    sets = shipped_sets()
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(entry) for entry in sets.values()], indent=2, ensure_ascii=False))
        return 0
    for entry in sets.values():
        click.echo(f"{entry.name}\n  {entry.title}\n  {how_to_get(entry)}; task {entry.task}\n  {entry.homepage}")
    click.echo("\nplanar data get NAME shows the terms, and the steps where there are any.")
    return 0


def how_to_get(entry: PublicSet) -> str:
    """Whether the command fetches a set, or what of it a person has to."""
    size = f"{entry.size / 1e6:.0f} MB" if entry.size is not None else "size not known"
    if not entry.by_hand:
        return f"the command fetches it, {size}"
    if not entry.files:
        return "you download it yourself, by the steps that planar data get shows"
    return f"the command fetches a part, {size}; you download the rest, by the steps that planar data get shows"
