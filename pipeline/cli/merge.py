"""`planar merge`: several datalists as one."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("merge")
@click.argument("datalists", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The datalist.json to write.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it is there.")
@click.option("--name", help="Name of the set; by default the names of the lists.")
@click.option(
    "--split", metavar="TRAIN,VAL,TEST", help="Split all anew by subject, by these shares.  [each case keeps its part]"
)
@click.option("--seed", default=0, show_default=True, help="Of the split and of the folds.")
@click.option(
    "--folds",
    type=int,
    help="Folds for cross-validation outside the test part; by default 5 where there are as many subjects.",
)
@click.option(
    "--union",
    "unions",
    multiple=True,
    metavar="NAME=CLASS,CLASS",
    help="Further lists may have the class NAME, which stands for those of the first list.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes that decode; by default one a core.")
def command(
    datalists: tuple[Path, ...],
    output: Path,
    overwrite: bool,
    name: str | None,
    split: str | None,
    seed: int,
    folds: int | None,
    unions: tuple[str, ...],
    workers: int | None,
) -> int:
    """Join DATALISTS that have the same classes into one.

    Each case keeps the coding of its own masks, so that sets whose masks are stored in different ways can be mixed. A
    picture that two lists have is taken once. Nearly equal pictures count as one subject, and no subject is on two
    sides.

    With --union a set that marks several classes as one can be learnt from: its training cases are taken, and say of a
    pixel that it is one of them. The bundle's task must name the union (unions: in its spec).

    \b
    planar merge disc_and_cup.json discs.json --union disc=disc_rim,cup -o all.json
    planar merge lungs.json chest.json --split 0.8,0,0.2 -o both.json
    """  # noqa: D301  (click reads the backspace as: keep the lines)
    from pipeline.cli.progress import progress_bar
    from pipeline.split import PARTS, Fractions
    from pipeline.tasks.merge import merge_datalists
    from pipeline.tasks.union_lists import parse_unions

    with progress_bar("pictures") as bar:
        task = bar.add_task("Looking for the same pictures", total=None)
        result = merge_datalists(
            datalists,
            output,
            name=name,
            fractions=Fractions.parse(split) if split else None,
            seed=seed,
            folds=folds,
            unions=parse_unions(unions),
            workers=workers,
            overwrite=overwrite,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    content = result.datalist
    sides = ", ".join(f"{side} {len(content.part(side))}" for side in PARTS)
    subjects = len({item["subject"] for side in PARTS for item in content.part(side)})
    click.echo(f"{sum(len(content.part(side)) for side in PARTS)} cases of {subjects} subjects: {sides}")
    for number, what in (
        (result.left_out, "left out, for a list before has the same pixels"),
        (result.joined, "pairs of nearly equal pictures of different subjects, which count as one"),
    ):
        if number:
            click.echo(f"Warning: {number} {what}; see {output}", err=True)
    if result.alike_from_afar:
        click.echo(f"Warning: {result.alike_from_afar}", err=True)
    if result.unscored:
        click.echo(f"{result.unscored} cases of lists with a union were not for training and are left out.")
    click.echo(f"Written to {output}.")
    return 1 if result.left_out else 0
