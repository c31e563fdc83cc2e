"""`python -m benchmarks.scale`."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import click

from benchmarks.entry import run
from benchmarks.machine import describe_machine
from benchmarks.scale.stages import run_stages
from benchmarks.scale.summary import markdown
from pipeline.atomic import write_text_aside
from pipeline.cores import usable_cores

FORMAT = "planar-scale/1"


@click.command("benchmarks.scale", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--films", "numbers", required=True, multiple=True, type=click.IntRange(40), help="How many; repeatable.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of everything.")
@click.option("--size", default=256, show_default=True, type=click.IntRange(64), help="Of a film, pixels.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [one a core]")
@click.option("--target", default=10_000, show_default=True, help="Films that the lines are drawn on to.")
@click.option("--keep", is_flag=True, help="Keep films, masks and bundles.")
def command(numbers: tuple[int, ...], out: Path, size: int, workers: int | None, target: int, keep: bool) -> int:
    """Take phantom films through phantom, index, plan, train (one epoch) and infer; time and memory by stage.

    With two numbers or more, OUT/scale.md has what a film costs by each stage, and whether memory grows.
    """
    began = time.perf_counter()
    runs = []
    for films in numbers:
        folder = out / str(films)
        shutil.rmtree(folder, ignore_errors=True)
        found = run_stages(
            folder,
            films,
            workers or usable_cores(),
            size,
            lambda line: click.echo(f"{time.perf_counter() - began:5.0f} s  {line}", err=True),
        )
        runs.append(found)
        document = {"format": FORMAT, "machine": describe_machine(), "size": size, "target": target, "runs": runs}
        write_text_aside(out / "scale.json", json.dumps(document, indent=2) + "\n")
        write_text_aside(out / "scale.md", markdown(document))
        if not keep:
            for name in ("films", "masks", "mlruns", "state"):
                shutil.rmtree(folder / name, ignore_errors=True)
    click.echo((out / "scale.md").read_text(encoding="utf-8"), nl=False)
    return 0


if __name__ == "__main__":
    run(command, "python -m benchmarks.scale")
