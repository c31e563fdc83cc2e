"""`planar phantom`: images to try everything on, with exact masks and without a patient."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.tasks.phantom import PhantomResult

__all__ = ["command"]


@click.command("phantom")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "-n", "number", type=click.IntRange(1), default=60, show_default=True, help="Films (or CT series) to make."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed gives the same bytes."
)
@click.option("--size", type=click.IntRange(64), default=256, show_default=True, help="Pixels along the longer side.")
@click.option(
    "--kind",
    type=click.Choice(["radiograph", "ct", "both"]),
    default="radiograph",
    show_default=True,
    help="What to make; both: films, and a CT series of each phantom.",
)
@click.option("--format", type=click.Choice(["png", "dicom", "both"]), default="both", show_default=True, help="Files.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--overwrite", is_flag=True, help="Write into a folder that holds other files; these stay.")
def command(out: Path, number: int, seed: int, size: int, kind: str, format: str, workers: int, overwrite: bool) -> int:
    """Make a digital thorax phantom in the folder OUT: radiographs and CT slices with exact masks.

    A second run into the same folder replaces the first one's files.

    \b
    planar phantom demo -n 60
    planar phantom volumes -n 4 --kind ct --format dicom
    """  # noqa: D301
    from pipeline.cli.progress import progress_bar
    from pipeline.tasks.phantom import make_phantoms

    with progress_bar("films" if kind != "ct" else "series") as bar:
        task = bar.add_task("Phantoms", total=number)
        result = make_phantoms(
            out,
            number,
            seed=seed,
            size=size,
            kind=kind,
            format=format,
            workers=workers,
            overwrite=overwrite,
            on_progress=lambda done, _total: bar.update(task, completed=done),
        )
    click.echo(summary(result))
    return 0


def summary(result: PhantomResult) -> str:
    """What was made, and the command that comes next."""
    made = [f"{result.films} films"] * bool(result.films) + [f"{result.series} CT series"] * bool(result.series)
    index = ["planar", "index", str(result.images), str(result.masks)]
    index += ["--subjects", f"{result.folder / 'index.csv'}:subject", "--class-names", ",".join(result.class_names)]
    index += ["-o", str(result.folder / "datalist.json")]
    return (
        f"{' and '.join(made)} of {result.subjects} phantoms (no patient) in {result.folder}, {result.seconds:.1f} s.\n"
        f"Next: {shlex.join(index)}"
    )
