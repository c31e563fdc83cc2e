"""`planar compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import store_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.tasks.compare import CompareResult


@click.command("compare")
@click.argument("evaluations", nargs=-1, required=True, metavar="EVALUATION...")
@click.option(
    "--data",
    "datalists",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The datalist that was evaluated: for pictures. May be given once for each set.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("compare.html"), show_default=True, help="The page."
)
@click.option("--overwrite", is_flag=True, help="Replace a page that is there.")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def command(
    evaluations: tuple[str, ...],
    datalists: tuple[Path, ...],
    output: Path,
    overwrite: bool,
    store: str | None,
    as_json: bool,
) -> int:
    """Evaluations side by side: paired differences with bootstrap intervals, and the cases that differ most.

    Each EVALUATION is a folder that `planar evaluate` has written, or a run of `planar runs`: an evaluation, or a
    training whose weights were evaluated. Those of the same cases are compared with the first of them. Evaluations of
    several sets make a table, trained on × tested on.
    """
    import json

    from pipeline.cli.progress import progress_bar
    from pipeline.report.comparison_limits import comparison_limits
    from pipeline.tasks.compare import compare_evaluations

    with progress_bar("steps") as bar:

        def begin(total: int) -> Callable[[], None]:
            task = bar.add_task("Comparing", total=total)
            return lambda: bar.advance(task)

        result = compare_evaluations(
            evaluations, output, store=store, datalists=datalists, overwrite=overwrite, progress=begin
        )
    if as_json:
        click.echo(json.dumps(result.document(), indent=2, allow_nan=False))
        return 0
    for line in _lines(result):
        click.echo(line)
    for limit in comparison_limits(result.groups):
        if limit.grave:
            click.echo(f"  ! {limit.text}")
    for note in result.notes:
        click.echo(f"Note: {note}")
    click.echo(f"Page:  {result.page}")
    return 0


def _lines(result: CompareResult) -> list[str]:
    """The differences of the main metrics, and the matrix in Dice."""
    from pipeline.report.comparison_page import sentence
    from pipeline.report.matrix import matrix_of
    from pipeline.report.score_tables import with_interval

    lines = []
    for group in result.groups:
        lines.append(f"{group.title}: {', '.join(entry.title for entry in group.entries)}")
        for comparison in group.comparisons:
            lines.append(f"  {sentence(comparison)}")
            for label, found in comparison.differences.items():
                for measure in group.measures:
                    if measure.key in ("dice", "hd95", "nsd") and measure.key in found:
                        text = with_interval(measure, vars(found[measure.key]), signed=True)
                        name = f"{label.replace('_', ' ')}: {measure.title(comparison.first.view.unit)}"
                        lines.append(f"    {name:<38} {comparison.second.letter} − {comparison.first.letter}  {text}")
    matrix = matrix_of(result.groups)
    if matrix is not None:
        wide = max(len(name) for name, _, _ in matrix.rows)
        lines.append("Dice, trained on × tested on:  " + " | ".join(matrix.data))
        for name, _, row in matrix.rows:
            cells = ["–" if entry is None else f"{_dice(entry.view.summary):.3f}" for entry in row]
            lines.append(f"  {name:<{wide}}  {'  '.join(cells)}")
    return lines


def _dice(summary: dict[str, Any]) -> float:
    parts = [part for name, part in summary.items() if name == "mean_of_classes"] or [*summary.values()]
    mean = parts[0]["per_subject"]["dice"]["mean"]
    return float("nan") if mean is None else mean
