"""`planar train`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("train")
@click.argument("bundle")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--data", "datalist", required=True, type=click.Path(path_type=Path), help="datalist.json of `planar index`."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder of the trained bundle.  [runs/BUNDLE/train-TIME]"
)
@click.option("--resume", is_flag=True, help="Continue the training in the folder BUNDLE from its models/last.pt.")
@click.option("--no-tracking", is_flag=True, help="Write no MLflow run.")
def command(
    bundle: str,
    overrides: tuple[str, ...],
    datalist: Path,
    output: Path | None,
    resume: bool,
    no_tracking: bool,
) -> int:
    """Train BUNDLE (a name or a folder) on a datalist.

    The bundle itself stays as it is: a copy of it is trained and holds the weights. KEY=VALUE overrides any key of the
    bundle's configs/train.yaml, such as max_epochs=20 or train#dataset#cache_rate=0.2.
    """
    from pipeline.cli.progress import EngineProgress
    from pipeline.tasks.train import train

    progress = EngineProgress()
    click.echo("Loading MONAI and the films …", err=True)
    try:
        result = train(
            bundle, datalist, output, overrides, resume=resume, tracking=not no_tracking, handlers=[progress]
        )
    finally:
        progress.stop()
    for note in result.notes:
        click.echo(f"Note: {note}")
    folder = _shown(result.bundle.root)
    told = f"Trained {result.epochs} epochs in {result.seconds / 60:.1f} min"
    if result.best_epoch:
        click.echo(f"{told}; best validation Dice {result.best_metric:.4f} at epoch {result.best_epoch}.")
        click.echo(f"Bundle:  {folder}  (weights in models/model.pt)")
    else:
        click.echo(
            f"{told}, but never validated: there are no best weights. Train for at least val_interval epochs: "
            f"planar train {folder} --data {datalist} --resume max_epochs=…",
            err=True,
        )
    if result.run_id:
        from pipeline.cli.where import mlflow_hint

        click.echo(f"MLflow:  run {result.run_id}; {mlflow_hint()}")
    if not result.best_epoch:
        return 1
    click.echo(f"Next:    planar evaluate {folder} --data {datalist} --split test")
    return 0


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
