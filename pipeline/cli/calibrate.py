"""`planar calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from pipeline.tasks.calibrate import CalibrationResult, CheckResult

PARTS = ["training", "validation", "test"]
# Options of fitting, which --check has no use for.
FITTING = {"minimum_dice": "--minimum-dice", "risk": "--risk", "variants": "--variants", "seed": "--seed"}


@click.command("calibrate")
@click.argument("bundle")
@click.option(
    "--data", "datalist", required=True, type=click.Path(path_type=Path), help="datalist.json of `planar index`."
)
@click.option(
    "--split",
    type=click.Choice(PARTS),
    help="Part to fit to, or to check.  [validation; with --check: test]",
)
@click.option("--check", is_flag=True, help="Do not fit: judge the part's pictures, and say how right the gate is.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="With --check: the table; figures go to a JSON file of that name.  [gate.csv]",
)
@click.option(
    "--minimum-dice",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="What an accepted mask should have.  [the 5th percentile of the part's own, not below 0.5]",
)
@click.option(
    "--risk",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Share of the accepted that may fall short of it.",
)
@click.option(
    "--variants",
    type=click.IntRange(min=0),
    help="How often each picture is made worse on purpose.  [for about 300 predictions in all, at most 16]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is done to them.")
@click.option("--overwrite", is_flag=True, help="Replace a gate, or a table, that is there.")
@click.pass_context
def command(
    context: click.Context,
    bundle: str,
    datalist: Path,
    split: str | None,
    check: bool,
    output: Path | None,
    minimum_dice: float | None,
    risk: float,
    variants: int | None,
    seed: int,
    overwrite: bool,
) -> int:
    """Fit the gate of BUNDLE, by which `planar infer` sends masks to review; or check it on labelled pictures.

    The gate predicts the Dice of a mask from how sure the network is and how well it agrees with itself on changed
    copies of the picture. It learns that from the validation part: pictures as they are, and made worse on purpose. It
    also knows the training pictures, and finds those that are unlike them. It is written to models/gate.json, holds no
    picture, and serves these weights and settings alone: fit it again after training or `planar find-best`.

    \b
    planar calibrate BUNDLE --data datalist.json
    planar calibrate BUNDLE --data other_hospital.json --check --split test -o gate.csv

    Rules of what a right mask looks like (two lungs, the cup inside the disc, sizes) are in the bundle's
    configs/quality.yaml, to be edited by hand; they need no fitting.
    """  # noqa: D301  (click reads the backspace as: keep the lines)
    from pipeline.cli.progress import progress_bar
    from pipeline.errors import InvalidOption
    from pipeline.tasks.calibrate import calibrate, check_gate

    given = [name for name in FITTING if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if check and (strange := [FITTING[name] for name in given]):
        raise InvalidOption(f"{strange[0]} is for fitting; --check uses the gate as it is. Leave one of them out.")
    if not check and output is not None:
        raise InvalidOption("-o is for --check; the gate is written to the bundle's models/gate.json.")
    with progress_bar("pictures") as bar:
        tasks: dict[str, Any] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done)

        if check:
            checked = check_gate(
                bundle, datalist, split or "test", output or Path("gate.csv"), overwrite=overwrite, on_progress=advance
            )
        else:
            fitted = calibrate(
                bundle,
                datalist,
                split or "validation",
                minimum_dice=minimum_dice,
                risk=risk,
                variants=variants,
                seed=seed,
                overwrite=overwrite,
                on_progress=advance,
            )
    if check:
        return _tell_check(checked)
    _tell_fit(fitted)
    return 0


def _tell_fit(result: CalibrationResult) -> None:
    gate = result.gate
    origin, aim, held_out = (gate.record[key] for key in ("fitted_on", "aim", "held_out"))
    figures = held_out or gate.record["in_sample"]
    where = "held out" if held_out else "on the masks it was fitted to"
    click.echo(
        f"Fitted to {origin['predictions']} predictions ({origin['made_worse']} of them made worse) of "
        f"{origin['images']} pictures of {origin['subjects']} subjects, and to "
        f"{origin['compared_with']['images']} training pictures, in {result.seconds:.0f} s"
    )
    click.echo(f"  Predicted Dice is off by {figures['mean_absolute_error']:.3f} on average ({where})")
    if gate.dice_limit > 1:  # which no prediction reaches
        click.echo("  Accepts nothing: with no limit of the predicted Dice is the aim kept")
    else:
        click.echo(
            f"  Accepted from a predicted Dice of {gate.dice_limit:.3f} and up to a distance of "
            f"{gate.distance_limit:.2f}: {figures['accepted_as_they_are']:.0%} of the pictures as they are"
        )
    click.echo(f"  Aim: at most {aim['risk']:.0%} of the accepted below Dice {aim['minimum_dice']:.3f}")
    for note in result.notes:
        click.echo(f"Note: {note}")
    click.echo(f"Gate: {result.path}")


def _tell_check(result: CheckResult) -> int:
    summary = result.summary
    counts = f"{summary['accepted']} of {summary['images']} accepted, {summary['review']} to review"
    click.echo(f"{summary['split']}: {counts}")
    if "risk_coverage" in summary:
        curve = summary["risk_coverage"]
        click.echo("  kept       n   mean Dice   p5       worst")
        for share, figures in curve["at_coverage"].items():
            click.echo(f"  {float(share):<8.0%} {_figures(figures)}   by predicted Dice")
        if "of_accepted" in summary:
            click.echo(f"  accepted {_figures(summary['of_accepted'])}")
        click.echo(
            f"  AURC {curve['aurc']:.4f} (by the Dice itself {curve['aurc_oracle']:.4f}, by chance "
            f"{curve['aurc_chance']:.4f})"
        )
    if "mean_absolute_error" in summary:
        click.echo(f"  Predicted Dice is off by {summary['mean_absolute_error']:.3f} on average")
    if "interval" in summary:
        interval = summary["interval"]
        within = f"{interval['share_within']:.0%} of {interval['n']}"
        click.echo(f"  {within} lie within their interval (level {interval['level']:.0%})")
    for note in result.notes:
        click.echo(f"Note: {note}")
    for refusal in result.refused:
        click.echo(f"Refused: {refusal.reason}", err=True)
    click.echo(f"Tables: {result.table}, {result.table.with_suffix('.json')}")
    return 1 if result.refused else 0


def _figures(figures: dict[str, float]) -> str:
    return f"{figures['n']:>3}   {figures['mean']:.4f}      {figures['p5']:.4f}   {figures['min']:.4f}"
