"""`planar evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import engine_option

if TYPE_CHECKING:
    from rich.table import Table


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
    "-o", "--output", type=click.Path(path_type=Path), help="Folder of the results.  [runs/BUNDLE/evaluate-SPLIT-TIME]"
)
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Weights other than the bundle's models/model.pt.")
@click.option("--no-masks", is_flag=True, help="Do not write the predicted masks.")
@click.option("--overwrite", is_flag=True, help="Replace an evaluation that is in the folder.")
@click.option("--no-tracking", is_flag=True, help="Write no MLflow run.")
@engine_option
def command(
    bundle: str,
    overrides: tuple[str, ...],
    datalist: Path,
    split: str,
    output: Path | None,
    checkpoint: Path | None,
    no_masks: bool,
    overwrite: bool,
    no_tracking: bool,
    engine: str,
) -> int:
    """Score BUNDLE on one split of a datalist, each mask on its image's own grid, at full size.

    \b
    Written to the folder, all at once when every case is scored:
      cases.csv        a row for each image and class
      metrics.json     means with bootstrap intervals, every rule in words
      confusion.csv    pixels by reference and predicted class
      calibration.csv  how often the network is right, by how sure it is
      masks/           the predicted class indices

    Overlap (Dice, IoU, precision, recall, specificity, accuracy, F1), boundary (95 % Hausdorff distance, average
    symmetric surface distance, normalised surface Dice), area error and calibration error. Distances are in mm where
    the image's spacing is known, else in pixels, and the results say which. The tolerance of the surface Dice is 2 mm,
    or 2 pixels: KEY=VALUE overrides any key of the bundle's configs/evaluate.yaml, such as nsd_tolerance#mm=1.5.
    """  # noqa: D301  (click reads the backspace as: keep the lines)
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
            masks=not no_masks,
            overwrite=overwrite,
            tracking=not no_tracking,
            handlers=[progress],
            engine=engine,
        )
    finally:
        progress.stop()
    click.echo(
        f"{split} of {result.record['data']}: {result.cases} images of {result.subjects} subjects "
        f"in {result.seconds:.0f} s"
    )
    _print_tables(result.record)
    for note in (*result.notes, *result.faults):
        click.echo(f"Note: {note}")
    written = [name for name in ("cases.csv", "confusion.csv", "calibration.csv") if (result.folder / name).is_file()]
    masks = [] if no_masks else ["masks"]
    click.echo(f"Results: {result.folder / 'metrics.json'}, with {', '.join([*written, *masks])}")
    if result.run_id:
        from pipeline.cli.where import mlflow_hint

        click.echo(f"MLflow:  run {result.run_id}; {mlflow_hint()}")
    return 1 if result.faults else 0


def _print_tables(record: dict[str, Any]) -> None:
    """A table for each class, and one for the mean of several."""
    from rich.console import Console

    summary = record["summary"]
    # No markup: a class may be called "[b]". A little wider than a narrow terminal rather than cut.
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, 80)
    for name, figures in summary.items():
        if name == "mean_of_classes" and len(summary) == 2:
            continue
        console.print(_table(name.replace("_", " "), figures, record))
    level, draws = record["bootstrap"]["level"], record["bootstrap"]["resamples"]
    unit = record["distance_unit"]
    console.print(
        f"[…]: {level:.0%} interval of the mean, {draws} resamples of subjects. Worst 5 %: the 5th percentile over "
        "images, of distances and errors the 95th. "
        f"Surface Dice: boundary within {record['nsd_tolerance'][unit]:g} {unit}."
    )
    if record["calibration"] is not None:
        console.print(f"Calibration error over the pixels near the foreground: {record['calibration']['ece']:.3f}")


def _table(title: str, figures: dict[str, Any], record: dict[str, Any]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in ("mean over subjects", "over images", "worst 5 %", "worst"):
        table.add_column(heading, justify="right", no_wrap=True)
    for metric, about in record["metrics"].items():
        if metric == "f1" or metric not in figures["per_image"]:  # over pixels F1 is Dice
            continue
        image = figures["per_image"][metric]
        digits = 1 if about["unit"] else 3
        table.add_row(
            f"{about['title']}, {about['unit']}" if about["unit"] else about["title"],
            _with_interval(figures["per_subject"][metric], digits),
            *(_figure(value, digits) for value in (image["mean"], *_worst(image, about["better"]))),
        )
    return table


def _worst(figures: dict[str, Any], better: str) -> tuple[float | None, float | None]:
    """The percentile and the extreme on the bad side; of a signed error the ones farther from zero."""
    if better == "higher":
        return figures["p5"], figures["min"]
    if better == "lower":
        return figures["p95"], figures["max"]
    return (
        max(figures["p5"], figures["p95"], key=lambda value: abs(value or 0)),
        max(figures["min"], figures["max"], key=lambda value: abs(value or 0)),
    )


def _with_interval(figures: dict[str, Any], digits: int) -> str:
    mean = _figure(figures["mean"], digits)
    if figures["ci_low"] is None:
        return mean
    return f"{mean} [{_figure(figures['ci_low'], digits)}, {_figure(figures['ci_high'], digits)}]"


def _figure(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
