"""`planar audit verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.checks import check_lines, wrapped
from pipeline.cli.options import json_option, store_option

if TYPE_CHECKING:
    from pipeline.tasks.audit import Check, Verdict


@click.command("verify")
@click.argument("run", metavar="RUN|PACK.zip")
@store_option
@click.option("--data", "datalist", type=click.Path(path_type=Path), help="The datalist.  [where it was for the run]")
@click.option("--bundle", help="The bundle.  [where it was for the run]")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="The weights.  [where they were for the run]")
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=0.001,
    show_default=True,
    help="How much Dice and other shares may differ when they are computed again; distances a hundred times as much.",
)
@click.option("--no-evaluate", is_flag=True, help="Only hash and compare; run nothing of the record.")
@click.option("--key", type=click.Path(path_type=Path), help="Public key that the pack must be signed by (ed25519).")
@json_option
def command(
    run: str,
    store: str | None,
    datalist: Path | None,
    bundle: str | None,
    checkpoint: Path | None,
    tolerance: float,
    no_evaluate: bool,
    key: Path | None,
    as_json: bool,
) -> int:
    """Check whether what was recorded of RUN is still true.

    Hashes the recorded files, the images and masks (decoded), the configs and the weights again, loads the weights,
    scores the cases again by the recorded config, and compares with the recorded numbers. A PACK.zip of
    `planar audit export` needs no MLflow; its images come from --data.

    \b
    Status 0: PASS.  1: FAIL, and each file that changed is named.
    Status 3: INCOMPLETE: nothing failed, but something that matters was not looked at.
    Status 1 and a line "Error: …": nothing was checked, for there is no such run, store or pack.

    Scoring runs the recorded config, and a config is code: only do so with runs and packs that you trust
    (--no-evaluate runs nothing).
    """  # noqa: D301  (click reads the backspace as: keep the lines)
    import json

    from pipeline.cli.progress import EngineProgress, progress_in_turn
    from pipeline.tasks.audit.tolerance import AuditTolerance
    from pipeline.tasks.audit.verify import verify

    def show(check: Check) -> None:
        if not as_json:
            for line in check_lines(check):
                click.echo(line)

    scoring = EngineProgress("steps")
    with progress_in_turn("cases", "Decoding") as decoding:
        try:
            verdict = verify(
                run,
                store=store,
                datalist=datalist,
                bundle=bundle,
                checkpoint=checkpoint,
                tolerance=AuditTolerance(tolerance, 100 * tolerance),
                evaluate=not no_evaluate,
                key=key,
                on_check=show,
                progress=decoding,
                handlers=[scoring],
            )
        finally:
            scoring.stop()
    if as_json:
        click.echo(json.dumps(verdict.document(), indent=2, ensure_ascii=False))
    else:
        for line in _summary(verdict):
            click.echo(line)
    return verdict.status


def _summary(verdict: Verdict) -> list[str]:
    lines = [f"{verdict.word}: {verdict.kind or 'run'} {verdict.run_id} ({verdict.name})"]
    unseen = ", ".join(dict.fromkeys(verdict.unseen))
    if verdict.word == "INCOMPLETE":
        lines.append(f"Nothing failed, but this is no pass. Not looked at: {unseen}.")
    elif unseen:
        lines.append(f"Not looked at: {unseen}.")
    if verdict.scored:
        lines.append(f"Numbers count as the same with {verdict.tolerance}.")
    return ["", *(part for line in lines for part in wrapped(line))]
