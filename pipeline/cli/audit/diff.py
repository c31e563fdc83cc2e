"""`planar audit diff`."""

from __future__ import annotations

from typing import Any

import click

from pipeline.cli.options import json_option, store_option

LONGEST = 48
# Two runs of different kinds differ in everything; --json has all of it.
MOST = 30


@click.command("diff")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@store_option
@json_option
def command(first: str, second: str, store: str | None, as_json: bool) -> int:
    """What differs between the runs A and B: data, config, parameters, code, versions, machine, metrics.

    A and B are runs or packs. Cases are compared by the digests of their pixels, whatever their files are called;
    folders, names and times are left out.
    """
    import json

    from pipeline.cli.plain import plain_json
    from pipeline.tasks.audit.diff import SECTIONS, diff_runs

    found = diff_runs(first, second, store=store)
    if as_json:
        click.echo(json.dumps(plain_json(found.document()), indent=2, allow_nan=False))
        return 0
    for letter, run in (("A", found.first), ("B", found.second)):
        click.echo(f"{letter}: {run.kind or 'run'} {run.run_id} ({run.name}, {run.status})")
    for section in SECTIONS:
        differences = found.within(section)
        if section in found.unknown and not differences:
            click.echo(f"\n{section}: not recorded")
        elif not differences:
            click.echo(f"\n{section}: the same")
        else:
            click.echo(f"\n{section}{': not recorded of one of them' if section in found.unknown else ''}")
            for one in differences[:MOST]:
                click.echo(f"  {one.name}: {_value(one.first)} → {_value(one.second)}{_change(one.first, one.second)}")
            if len(differences) > MOST:
                click.echo(f"  … and {len(differences) - MOST} more (--json lists all)")
    return 0


def _value(value: Any) -> str:
    if value is None:
        return "–"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _change(first: Any, second: Any) -> str:
    if not isinstance(first, float) or not isinstance(second, float):
        return ""
    return f"  ({second - first:+.4g})"
