"""`planar card`."""

from __future__ import annotations

import click

from pipeline.cli.checks import check_lines
from pipeline.cli.options import store_option


@click.command("card")
@click.argument("run", required=False)
@click.option("--into", "bundle", required=True, metavar="BUNDLE", help="The bundle that holds the weights of RUN.")
@store_option
@click.option("--check", is_flag=True, help="Write nothing: do the bundle's metadata say what their runs say?")
@click.option("--overwrite", is_flag=True, help="Replace a card that a person wrote; it is kept as README.md.old.")
def command(run: str | None, bundle: str, store: str | None, check: bool, overwrite: bool) -> int:
    """Write the model card of BUNDLE (docs/README.md) and the scores in its metadata from the record of RUN.

    RUN is a training or an evaluation (or a pack): data with digests, settings, scores of all evaluations of these
    weights, and what the scores do not show. A person's own words go below the line "by hand" and stay.

    With --check (RUN is not needed, the metadata name it) the status is 1 if weights or scores in the bundle are not
    those of its runs, and 3 if that cannot be told.
    """
    if check:
        from pipeline.errors import TrackingUnreachable
        from pipeline.tasks.card import check_card

        try:
            verdict = check_card(bundle, store=store)
        except TrackingUnreachable as error:
            click.echo(f"Error: {error}", err=True)
            return 3
        for one in verdict.checks:
            for line in check_lines(one):
                click.echo(line)
        return verdict.status
    if run is None:
        raise click.UsageError("Missing argument 'RUN': whose card is to be written.")
    from pipeline.tasks.card import write_card

    result = write_card(run, bundle, store=store, overwrite=overwrite)
    for name, value in result.figures.items():
        click.echo(f"{name}: {value:.4f}")
    for note in result.notes:
        click.echo(f"Note: {note}")
    click.echo(f"Card:  {result.card}")
    return 0
