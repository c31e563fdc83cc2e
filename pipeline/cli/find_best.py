"""`planar find-best`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.tasks.find_best import Best


@click.command("find-best")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder of the new bundle.")
@click.option("--single", is_flag=True, help="Take one network instead of the ensemble of all folds.")
@click.option(
    "--holdout",
    type=click.Path(path_type=Path),
    help="datalist.json of cases that are neither cross-validated nor the test part: compare the ensemble with single "
    "networks on them.",
)
@click.option(
    "--holdout-split",
    type=click.Choice(["training", "validation", "test"]),
    default="test",
    show_default=True,
    help="Part of the holdout.",
)
@click.option("--half", is_flag=True, help="Store the weights in 16 bits: half the file.")
@click.option("--overwrite", is_flag=True, help="Replace the bundle if it is there.")
def command(
    folder: Path,
    output: Path,
    single: bool,
    holdout: Path | None,
    holdout_split: str,
    half: bool,
    overwrite: bool,
) -> int:
    """Choose by the cross-validation in FOLDER, and write the choice into a new bundle.

    FOLDER is that of `planar train --folds`. All masks are predicted once more, each by the network that has not seen
    its subject, with and without test-time flips; then for each class what may be done to its masks is tried: keep the
    largest regions, remove small ones, fill holes. A thing is kept only if it improves the cross-validated Dice beyond
    chance. The bundle holds the ensemble of all folds as one network with one models/model.pt. What was chosen stands
    in configs/evaluate.yaml and configs/inference.yaml, with its gain in a comment; all that was tried, and the rules,
    in docs/find_best.json.

    \b
    planar find-best runs/lungs_cv -o bundles/ct_lungs_segmentation
    """  # noqa: D301  (click reads the backspace as: keep the lines)
    from pipeline.cli.progress import EngineProgress, progress_bar
    from pipeline.tasks.folds import read_folds

    read_folds(folder)
    click.echo("Loading MONAI …", err=True)
    from pipeline.tasks.find_best import find_best

    bars: list[EngineProgress] = []

    def handlers(title: str) -> Sequence[object]:
        while bars:
            bars.pop().stop()
        bars.append(EngineProgress("cases", title=title))
        return bars

    with progress_bar("masks") as bar:
        tasks: list[object] = []

        def show(done: int, total: int) -> None:
            while bars:
                bars.pop().stop()
            if not tasks:
                tasks.append(bar.add_task("Trying post-processing", total=total))
            bar.update(tasks[0], completed=done)  # type: ignore[arg-type]

        try:
            result = find_best(
                folder,
                output,
                single=single,
                half=half,
                holdout=holdout,
                holdout_split=holdout_split,
                overwrite=overwrite,
                handlers=handlers,
                on_progress=show,
            )
        finally:
            while bars:
                bars.pop().stop()
    _say(result, folder)
    return 0


def _say(result: Best, folder: Path) -> None:
    for note in result.notes:
        click.echo(f"Note: {note}")
    click.echo(f"Network: {result.choice.why}")
    decisions = [result.flips] if result.flips else []
    decisions += result.refinement.decisions if result.refinement else []
    for decision in decisions:
        click.echo(f"  {decision.about}: {decision.line()}")
    if result.refinement:
        for name, after in result.refinement.after.items():
            before = result.refinement.before[name]
            changed = f"; {before:.4f} before post-processing" if result.refinement.steps else ""
            click.echo(f"Dice:    {name} {after:.4f} out of fold, {result.cases} images{changed}")
    click.echo(f"Bundle:  {result.bundle.root}  (weights in models/model.pt, reasons in docs/README.md)")
    if result.test_cases:
        datalist = quote(str(folder / "datalist.json"))
        click.echo(f"Next:    planar evaluate {result.bundle.typed} --data {datalist} --split test")
