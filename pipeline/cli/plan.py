"""`planar plan`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

NAME_WIDTH = 22


@click.command("plan")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--task", required=True, type=click.Path(path_type=Path), help="Task spec: a shipped one's name, or a YAML file."
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder of the bundle.")
@click.option("--budget", default="30min", show_default=True, help="Wall clock of the training: 90s, 30min, 4h.")
@click.option("--device", type=click.Choice(["cpu", "gpu"]), help="What it will train on.  [this machine's]")
@click.option("--cores", type=click.IntRange(1), help="CPU cores that it may use.  [this machine's]")
@click.option("--memory", type=click.FloatRange(min=0.1), help="Memory that it may use, GB.  [half of this machine's]")
@click.option("--max-parameters", type=click.IntRange(1), help="Upper limit of the network's parameters.")
@click.option("--seed", default=0, show_default=True, help="Seed of the training.")
@click.option("--overwrite", is_flag=True, help="Plan the bundle again; its weights and documents stay.")
@click.option("--workers", type=click.IntRange(1), help="Processes that look at the pictures; by default one a core.")
def command(
    data: Path,
    task: Path,
    output: Path,
    budget: str,
    device: str | None,
    cores: int | None,
    memory: float | None,
    max_parameters: int | None,
    seed: int,
    overwrite: bool,
    workers: int | None,
) -> int:
    """Look at DATA (a datalist.json, or a fingerprint.json of planar inspect) and write a bundle for it.

    Each choice stands in the bundle's configs with its reason and may be edited there. The same data, task, options
    and machine give the same bundle byte for byte; --device, --cores and --memory make it independent of this machine.
    """
    import shutil
    import textwrap

    from pipeline.cli.progress import stage_bars
    from pipeline.planning import Machine, PlanOptions, found_machine, parse_duration
    from pipeline.tasks.plan import plan_bundle, require_given

    require_given(data, task)
    found = found_machine()
    machine = Machine(device or found.device, cores or found.cores, memory or found.memory_gb)
    options = PlanOptions(parse_duration(budget), machine, max_parameters, seed)
    with stage_bars("steps") as show:
        result = plan_bundle(data, task, output, options, overwrite=overwrite, workers=workers, on_progress=show)
    width = min(shutil.get_terminal_size().columns, 110)
    for name, value, why in result.plan.table():
        click.echo(f"{name:<{NAME_WIDTH}}{value}".rstrip())
        indent = " " * NAME_WIDTH
        click.echo(textwrap.fill(f"{why[:1].upper()}{why[1:]}", width, initial_indent=indent, subsequent_indent=indent))
    for note in result.notes:
        click.echo(f"Note: {note}")
    click.echo(f"Bundle:  {output}  (every choice in configs/*.yaml may be edited)")
    datalist = quote(str(data)) if data.name == "datalist.json" else "datalist.json"
    click.echo(f"Next:    planar train {quote(str(output))} --data {datalist}")
    for finding in result.failed:
        click.echo(f"Left out: {finding.file}: {finding.reason}", err=True)
    return 1 if result.failed else 0
