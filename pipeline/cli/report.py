"""`planar report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable


@click.command("report")
@click.argument("evaluation", type=click.Path(path_type=Path), metavar="EVALUATION_FOLDER")
@click.option("--bundle", help="The bundle that was evaluated: for training curves and settings.  [found by its name]")
@click.option(
    "--data", "datalist", type=click.Path(path_type=Path), help="The datalist that was evaluated: for pictures."
)
@click.option(
    "--fingerprint",
    type=click.Path(path_type=Path),
    help="fingerprint.json of `planar inspect`.  [beside the datalist, or in the bundle]",
)
@click.option(
    "--gate",
    type=click.Path(path_type=Path),
    help="Table of `planar calibrate --check`: the risk–coverage curve.  [EVALUATION_FOLDER/gate.csv]",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The page.  [EVALUATION_FOLDER/report.html]")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Also write triptychs, overlays, a collage of nine, confusion matrix and curves there as PNG (needs --data).",
)
@click.option("--overwrite", is_flag=True, help="Replace a page that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures and limits as JSON.")
def command(
    evaluation: Path,
    bundle: str | None,
    datalist: Path | None,
    fingerprint: Path | None,
    gate: Path | None,
    output: Path | None,
    pictures: Path | None,
    overwrite: bool,
    as_json: bool,
) -> int:
    """One HTML page of an evaluation: scores with intervals, what they do not show, cases, curves, settings.

    EVALUATION_FOLDER is what `planar evaluate` has written. The page opens without a network, on a desk and on a phone,
    and prints. It holds no names, dates or paths of this machine; images go by their names in the datalist.
    """
    import json

    from pipeline.cli.progress import progress_bar
    from pipeline.tasks.report import write_report

    with progress_bar("cases") as bar:

        def begin(total: int) -> Callable[[], None]:
            task = bar.add_task("Drawing", total=total)
            return lambda: bar.advance(task)

        result = write_report(
            evaluation,
            output,
            bundle=bundle,
            datalist=datalist,
            fingerprint=fingerprint,
            gate=gate,
            pictures=pictures,
            overwrite=overwrite,
            progress=begin,
        )
    if as_json:
        click.echo(json.dumps(result.document(), indent=2, allow_nan=False))
        return 0
    click.echo(result.headline)
    for limit in result.limits:
        if limit.grave:
            click.echo(f"  ! {limit.text}")
    for note in result.notes:
        click.echo(f"Note: {note}")
    click.echo(f"Page:  {result.page}")
    if pictures is not None:
        click.echo(f"Pictures: {pictures}")
    return 0
