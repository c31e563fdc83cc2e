"""`planar evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("evaluate")
@click.argument("bundle")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--data", "datalist", required=True, type=click.Path(path_type=Path), help="datalist.json of `planar index`."
)
@click.option(
    "--split",
    type=click.Choice(["training", "validation", "test"]),
    default="test",
    show_default=True,
    help="Part of the datalist to score.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder of the tables.  [runs/BUNDLE/evaluate-SPLIT-TIME]"
)
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Weights other than the bundle's models/model.pt.")
@click.option("--no-tracking", is_flag=True, help="Write no MLflow run.")
def command(
    bundle: str,
    overrides: tuple[str, ...],
    datalist: Path,
    split: str,
    output: Path | None,
    checkpoint: Path | None,
    no_tracking: bool,
) -> int:
    """Score BUNDLE on one split of a datalist: cases.csv and metrics.json.

    Every mask is compared on its image's own grid, at full size. KEY=VALUE overrides any key of the bundle's
    configs/evaluate.yaml.
    """
    from pipeline.cli.progress import EngineProgress
    from pipeline.tasks.evaluate import evaluate

    progress = EngineProgress("cases")
    try:
        result = evaluate(
            bundle,
            datalist,
            split,
            output,
            overrides,
            checkpoint=checkpoint,
            tracking=not no_tracking,
            handlers=[progress],
        )
    finally:
        progress.stop()
    click.echo(
        f"{split}: {result.cases} images of {result.subjects} subjects in {result.seconds:.0f} s. "
        "Mean over images [over subjects; 5th percentile, worst image]"
    )
    for name, part in result.summary.items():
        if name == "mean_of_classes" and len(result.summary) == 2:
            continue
        click.echo(f"  {name.replace('_', ' ')}")
        for metric in ("dice", "iou", "precision", "recall", "accuracy", "f1"):
            image, subject = part["per_image"][metric], part["per_subject"][metric]
            click.echo(
                f"    {metric:<10}{_figure(image['mean'])}  [{_figure(subject['mean'])}; {_figure(image['p5'])}, "
                f"{_figure(image['min'])}]"
            )
    for note in result.notes:
        click.echo(f"Note: {note}")
    click.echo(f"Tables:  {result.folder / 'cases.csv'}, {result.folder / 'metrics.json'}")
    if result.run_id:
        from pipeline.cli.where import mlflow_hint

        click.echo(f"MLflow:  run {result.run_id}; {mlflow_hint()}")
    return 0


def _figure(value: Any) -> str:
    return "  –   " if value is None else f"{value:.4f}"
