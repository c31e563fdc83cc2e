"""`planar train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.trained import fold_line, say_folds, say_training

if TYPE_CHECKING:
    from pipeline.tasks.folds import FoldState


@click.command("train")
@click.argument("bundle")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--data",
    "datalist",
    type=click.Path(path_type=Path),
    help="datalist.json of `planar index`; needed unless folds are resumed.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the trained bundle, or of the folds.  [runs/BUNDLE/train-TIME, runs/BUNDLE/folds-TIME]",
)
@click.option(
    "--recipe",
    metavar="NAME|PATH",
    help="Train by a published project's settings: a name from configs/recipes, or a YAML file of overrides.",
)
@click.option("--folds", type=int, help="Cross-validate: train this many networks, each scored on its own fold.")
@click.option("--fold", type=int, metavar="K", help="Of the folds train number K (from 0) alone.")
@click.option(
    "--resume", is_flag=True, help="Go on in the folder BUNDLE: a training from its models/last.pt, or folds."
)
@click.option(
    "--start-from",
    metavar="BUNDLE|FILE",
    help="Begin with the weights of a trained bundle, or a file of weights, not with random ones.",
)
@click.option("--no-tracking", is_flag=True, help="Write no MLflow run.")
@click.option(
    "--register", "register_as", metavar="NAME", help="Register the best weights with MLflow under this name."
)
@click.option("--champion", is_flag=True, help="Give the registered version the alias champion.")
@click.option("--profile", is_flag=True, help="Say where the time went: data, forward, backward, validation …")
def command(
    bundle: str,
    overrides: tuple[str, ...],
    datalist: Path | None,
    output: Path | None,
    recipe: str | None,
    folds: int | None,
    fold: int | None,
    resume: bool,
    start_from: str | None,
    no_tracking: bool,
    register_as: str | None,
    champion: bool,
    profile: bool,
) -> int:
    """Train BUNDLE (a name or a folder) on a datalist, once or in folds.

    The bundle itself stays as it is: a copy of it is trained and holds the weights. KEY=VALUE overrides any key of the
    bundle's configs/train.yaml, such as max_epochs=20 or train#dataset#cache_rate=0.2.

    With --folds a copy is trained for each fold on the other folds' subjects (training and validation part; the test
    part is not touched), and scores its own cases at full size; the folder then holds one table of all cases, each
    scored by a network that is new to it. `planar find-best` goes on from there. Folds can be trained by several
    processes: give each the same command and its own --fold.

    \b
    planar train cxr_lung_segmentation --data datalist.json -o runs/lungs max_epochs=60
    planar train cxr_lung_segmentation --data datalist.json --recipe montgomery -o runs/montgomery
    planar train cxr_lung_segmentation --data datalist.json --start-from cxr_lung_segmentation learning_rate=0.0005
    planar train cxr_lung_segmentation --data datalist.json --folds 5 -o runs/lungs_cv
    planar train --resume runs/lungs_cv

    With --start-from a training begins with what another one has learnt, as far as it fits: a network for other classes
    differs in its last layer alone. Few of your own images go further then.

    With --recipe the copy is trained by a published project's own settings, for comparison; KEY=VALUE wins over it.
    Evaluation and inference of the copy follow the recipe by themselves.

    With --register the best weights become the next version of a model in MLflow's registry, which `mlflow models
    serve -m models:/NAME@champion --env-manager local` serves.
    """  # noqa: D301  (click reads the backspace as: keep the lines)
    from pipeline.errors import InvalidOption
    from pipeline.tasks.folds import is_folds

    in_folds = folds is not None or (resume and is_folds(Path(bundle)))
    if fold is not None and not in_folds:
        raise InvalidOption("--fold says which of the folds is trained: give --folds with it, such as --folds 5.")
    if in_folds:
        if register_as is not None or champion:
            raise InvalidOption("--register is for one training: make one network of the folds with planar find-best.")
        if recipe is not None:
            raise InvalidOption("--recipe is for one training, as the published projects had it: leave out --folds.")
        if start_from is not None:
            raise InvalidOption("--start-from is for one training: its weights may have seen what a fold is scored on.")
        if profile:
            raise InvalidOption("--profile is for one training: leave out --folds.")
        return _train_folds(bundle, overrides, datalist, output, folds, fold, resume, no_tracking)
    if datalist is None:
        raise click.UsageError("Missing option '--data'.")
    return _train(
        bundle, overrides, datalist, output, recipe, resume, start_from, no_tracking, register_as, champion, profile
    )


def _train(
    bundle: str,
    overrides: tuple[str, ...],
    datalist: Path,
    output: Path | None,
    recipe: str | None,
    resume: bool,
    start_from: str | None,
    no_tracking: bool,
    register_as: str | None,
    champion: bool,
    profile: bool,
) -> int:
    from pipeline.cli.progress import EngineProgress
    from pipeline.tasks.train import train

    progress = EngineProgress()
    try:
        result = train(
            bundle,
            datalist,
            output,
            overrides,
            recipe=recipe,
            resume=resume,
            start_from=start_from,
            tracking=not no_tracking,
            handlers=[progress],
            on_loading=_say_loading,
            register_as=register_as,
            champion=champion,
            profile=profile,
        )
    finally:
        progress.stop()
    for one in result.step_times:
        step = f"{one.step_ms:9.2f} ms a step" if one.step_ms is not None else ""
        click.echo(f"{one.phase:<22} {one.seconds:9.2f} s {100 * one.share:6.1f} % {step}".rstrip())
    for note in result.notes:
        click.echo(f"Note: {note}")
    return say_training(result, datalist, register_as, champion)


def _say_loading() -> None:
    click.echo("Loading MONAI and the films …", err=True)


def _train_folds(
    bundle: str,
    overrides: tuple[str, ...],
    datalist: Path | None,
    output: Path | None,
    folds: int | None,
    fold: int | None,
    resume: bool,
    no_tracking: bool,
) -> int:
    from pipeline.cli.progress import EngineProgress
    from pipeline.tasks.folds import train_folds

    bars: list[EngineProgress] = []

    def handlers(number: int, stage: str) -> Sequence[object]:
        while bars:
            bars.pop().stop()
        bars.append(EngineProgress("cases" if stage == "scoring" else "batches", title=f"Fold {number}"))
        return bars

    def say(state: FoldState) -> None:
        while bars:
            bars.pop().stop()
        click.echo(fold_line(state))

    try:
        result = train_folds(
            bundle,
            datalist,
            output,
            overrides,
            folds=folds,
            only=fold,
            resume=resume,
            tracking=not no_tracking,
            handlers=handlers,
            on_loading=_say_loading,
            on_fold=say,
        )
    finally:
        while bars:
            bars.pop().stop()
    return say_folds(result)
