"""`planar data list`."""

from __future__ import annotations

import click

__all__ = ["command"]


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
        size = f"{entry.size / 1e6:.0f} MB" if entry.files and entry.size is not None else "size not known"
        how = (f"fetched, {size}" if entry.files else "") + (", " if entry.files and entry.by_hand else "")
        how += "by hand: a login or an agreement is in the way" if entry.by_hand else ""
        click.echo(f"{entry.name}\n  {entry.title}\n  {how}; task {entry.task}\n  {entry.homepage}")
    click.echo("\nplanar data get NAME shows the terms, and the steps where there are any.")
    return 0
