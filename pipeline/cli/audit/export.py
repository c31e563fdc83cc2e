"""`planar audit export`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from pipeline.cli.options import json_option, store_option


@click.command("export")
@click.argument("run")
@click.option("-o", "--output", "out", type=click.Path(path_type=Path), help="The zip file.  [RUN's first digits.zip]")
@store_option
@click.option("--sign", "key", type=click.Path(path_type=Path), metavar="KEY.pem", help="Sign it (ed25519).")
@click.option(
    "--weights/--no-weights", default=True, help="Whether the weights go in (default), or their digest alone."
)
@click.option(
    "--pictures/--no-pictures",
    default=True,
    help="Whether what shows cases goes in (default): the report and the sheets of the training.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@json_option
def command(
    run: str,
    out: Path | None,
    store: str | None,
    key: Path | None,
    weights: bool,
    pictures: bool,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Pack all that is needed to check RUN elsewhere, without MLflow, into one zip file.

    With an evaluation goes the training of its weights, with a training the latest evaluation of each data set. In it
    are the record, the weights, the report, a model card, checklists (CLAIM, GMLP, Metrics Reloaded) filled from the
    record, and the SHA-256 of each file. Names of files are not in it; user and host are, where they were
    recorded, and small pictures of some cases, in which names burnt into the pixels would show.

    \b
    A key to sign with, and its public half for those who check:
      openssl genpkey -algorithm ed25519 -out key.pem
      openssl pkey -in key.pem -pubout -out public.pem
      planar audit verify PACK.zip --key public.pem
    """  # noqa: D301  (click reads the backspace as: keep the lines)
    import json

    from pipeline.cli.progress import progress_in_turn
    from pipeline.tasks.audit.export import export_run

    with progress_in_turn("files", "Fetching") as fetching:
        result = export_run(
            run, out, store=store, key=key, weights=weights, pictures=pictures, overwrite=overwrite, progress=fetching
        )
    if as_json:
        click.echo(json.dumps(result.document(), indent=2))
        return 0
    click.echo(", ".join(f"{kind} {run_id}" for kind, run_id in result.runs))
    for note in result.notes:
        click.echo(f"Note:   {note}")
    if result.public_key:
        click.echo(f"Signed: with the key {result.public_key[:16]}…")
    click.echo(f"Pack:   {result.pack} ({result.size_bytes / 1e6:.1f} MB, {result.files} files)")
    click.echo(
        f"Check:  planar audit verify {quote(str(result.pack))}{' --key public.pem' if result.public_key else ''}"
    )
    return 0
