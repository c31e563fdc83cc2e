"""`python -m benchmarks.nnunet`."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.entry import run


@click.command("benchmarks.nnunet", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data", required=True, type=click.Path(path_type=Path), help="datalist.json of `planar index`.")
@click.option("--minutes", default=10.0, show_default=True, help="Wall clock of each training.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of everything.")
@click.option("--bundle", help="Planar's bundle to train, a name or a folder.")
@click.option("--task", type=click.Path(path_type=Path), help="Instead: the task spec to plan a bundle with.")
@click.option(
    "--nnunet-python",
    type=click.Path(path_type=Path),
    help="Python of an environment with nnunetv2.  [$NNUNET_PYTHON, or this one]",
)
@click.option(
    "--first",
    type=click.Choice(["planar", "nnunet"]),
    default="planar",
    show_default=True,
    help="Who trains first; alternate it from set to set.",
)
@click.option(
    "--skip-own-plan",
    is_flag=True,
    help="Where nnU-Net's own plan makes too few steps, train only the one fitted to the time.",
)
@click.option(
    "--nnunet-steps",
    type=click.IntRange(1),
    default=250,
    show_default=True,
    help="Steps below which nnU-Net's plan is fitted to the time, at the finest resolution that allows them.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the bundle's train.yaml."
)
def command(
    data: Path,
    minutes: float,
    out: Path,
    bundle: str | None,
    task: Path | None,
    nnunet_python: Path | None,
    first: str,
    skip_own_plan: bool,
    nnunet_steps: int,
    overrides: tuple[str, ...],
) -> int:
    """Train Planar and nnU-Net v2 2D on DATA's training cases for the same time, and score both on its test cases.

    Run it on a machine that does nothing else. It can be stopped and given again: what is done is not done twice.
    The result is OUT/table.md (and .json); OUT/scores/* are evaluation folders for `planar compare`.
    """
    from benchmarks.nnunet.contest import ContestOptions, run_contest
    from benchmarks.nnunet.environment import find_python

    options = ContestOptions(
        data=data,
        minutes=minutes,
        out=out,
        python=find_python(nnunet_python),
        bundle=bundle,
        task=task,
        first=first,
        own_plan=not skip_own_plan,
        wanted_steps=nnunet_steps,
        overrides=overrides,
    )
    table = run_contest(options, lambda line: click.echo(line, err=True))
    click.echo(table.read_text(encoding="utf-8"))
    click.echo(f"Written to {table}", err=True)
    return 0


if __name__ == "__main__":
    run(command, "python -m benchmarks.nnunet", "Stopped. Give the command again to go on.")
