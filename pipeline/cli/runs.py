"""`planar runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipeline.cli.options import json_option, store_option

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.tasks.runs import RunRow
    from pipeline.tracking import Synced


# Where a row of the table would not be a line, each run has two.
NARROW = 140


@click.group("runs", invoke_without_command=True)
@store_option
@click.option("--experiment", metavar="NAME", help="Runs of this experiment alone.")
@click.option(
    "--kind",
    type=click.Choice(["training", "evaluation", "inference", "cross-validation"]),
    help="Runs of this kind alone.",
)
@click.option("-n", "--number", type=click.IntRange(0), default=20, show_default=True, help="The latest; 0 for all.")
@json_option
@click.pass_context
def command(
    context: click.Context, store: str | None, experiment: str | None, kind: str | None, number: int, as_json: bool
) -> int:
    """The runs that are recorded, the latest first: status, kind, data, best metric, since when.

    `planar runs sync` sends what MLflow has missed of runs of this machine.
    """
    if context.invoked_subcommand is not None:
        return 0
    import json

    from pipeline.tasks.runs import list_runs

    rows = list_runs(store, experiment=experiment, kind=kind, limit=number)
    if as_json:
        from pipeline.cli.plain import plain_json

        click.echo(json.dumps([plain_json(row.document()) for row in rows], indent=2, allow_nan=False))
        return 0
    if not rows:
        click.echo("No runs.")
        return 0
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if console.is_terminal and console.width < NARROW:
        for row in rows:
            click.echo("\n".join(_two_lines(row)))
        return 0
    console.width = max(console.width, 160)  # only as wide as it must be
    console.print(_table(rows))
    return 0


@command.command("sync")
@store_option
@json_option
def sync(store: str | None, as_json: bool) -> int:
    """Send what MLflow has missed of runs of this machine, and end runs whose process is gone.

    Every command that opens a store does so for that store; this does it for all, or for --store. Status 1 if something
    is left.
    """
    import json

    from pipeline.tasks.runs import sync_runs

    done = sync_runs(store)
    if as_json:
        click.echo(json.dumps([vars(one) for one in done], indent=2))
    else:
        for one in done:
            click.echo(_told(one))
        if not done:
            click.echo("Nothing is left to send.")
    return 1 if any(one.left and not one.running for one in done) else 0


def _told(one: Synced) -> str:
    which = f"run {one.run_id}" if one.run_id else "a run that was never made"
    if one.running:
        return f"{which}: is being recorded by a process that is there ({one.left} parts on their way to {one.store})"
    parts = [f"{one.sent} parts sent to {one.store}"]
    parts += ["ended as KILLED, its process is gone"] if one.found_stale else []
    parts += [f"{one.refused} parts refused by MLflow, kept in the state folder"] if one.refused else []
    parts += [f"{one.left} parts left: {one.reason or 'the store does not answer'}"] if one.left else []
    return f"{which}: {', '.join(parts)}"


def _table(rows: list[RunRow]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("run", "name", "kind", "status"):
        table.add_column(heading, no_wrap=True)
    table.add_column("data", overflow="fold")
    table.add_column("best", overflow="fold")
    table.add_column("since", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    for row in rows:
        run = row.run
        table.add_row(
            run.run_id[:8],
            _short(run.name),
            run.kind or "–",
            run.status,
            row.data or "–",
            _best(row),
            _since(row),
            _duration(row.seconds),
        )
    return table


def _two_lines(row: RunRow) -> list[str]:
    run = row.run
    first = f"{run.run_id[:8]}  {run.status:<9} {run.kind or '–':<16}  {_since(row)}  {_duration(row.seconds)}"
    return [first, f"{'':10}{_short(run.name)}  {row.data or '–'}  {_best(row)}"]


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"


def _since(row: RunRow) -> str:
    from datetime import datetime

    return f"{datetime.fromtimestamp(row.run.started_ms / 1000):%Y-%m-%d %H:%M}"


def _best(row: RunRow) -> str:
    if row.best is None:
        return "–"
    at = f" at {row.best.step}" if row.best.step is not None else ""
    return f"{row.best.metric} {row.best.value:.4f}{at}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
