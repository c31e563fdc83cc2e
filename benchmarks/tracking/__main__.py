"""`python -m benchmarks.tracking`."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click
import yaml

from benchmarks.commands import run_logged
from benchmarks.entry import run
from benchmarks.machine import describe_machine
from benchmarks.tracking.overhead import in_turns, markdown, overhead_of
from pipeline.atomic import write_text_aside
from pipeline.bundle import find_bundle
from pipeline.datalist import load_cases
from pipeline.errors import InvalidOption

FORMAT = "planar-overhead/1"


@click.command("benchmarks.tracking", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="datalist.json of `planar index`.")
@click.option("--bundle", default="cxr_lung_segmentation", show_default=True, help="Bundle to train.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of everything; must not be there.")
@click.option("--repeats", type=click.IntRange(1), default=4, show_default=True, help="Trainings of each kind.")
@click.option("--epochs", type=click.IntRange(1), default=4, show_default=True, help="Of each training.")
@click.option(
    "--store", metavar="URI", help="MLflow store: a server's address, say.  [a SQLite file in OUT, as by default]"
)
def command(
    overrides: tuple[str, ...], data: Path, bundle: str, out: Path, repeats: int, epochs: int, store: str | None
) -> int:
    """Train BUNDLE on DATA with and without a record in turns, and tell what the record costs.

    Run it on a machine that does nothing else. All that the bundle's tracking.json switches on is recorded: system
    metrics, pictures, models, datasets. Before that comes a training of one epoch, which makes the store and is not
    counted. KEY=VALUE overrides a key of the bundle's train.yaml, in all trainings. The result is OUT/overhead.md and
    overhead.json.
    """
    if out.exists():
        raise InvalidOption(f"{out} is there already: name another folder with --out.")
    source = find_bundle(bundle)
    train = yaml.safe_load(source.config("train").read_text(encoding="utf-8"))
    cases = len(load_cases(data, "training"))
    settings = {
        "MLFLOW_TRACKING_URI": store or f"sqlite:///{(out / 'mlruns.db').absolute()}",
        "PLANAR_STATE": str((out / "state").absolute()),
    }

    def one(name: str, tracked: bool, count: int) -> dict[str, Any]:
        folder = out.absolute() / name
        folder.mkdir(parents=True)
        load = os.getloadavg()[0]
        command = [sys.executable, "-m", "benchmarks.tracking.training", str(source.root.absolute())]
        command += [str(data.absolute()), str(folder), "on" if tracked else "off", f"max_epochs={count}", *overrides]
        run_logged(command, folder / "training.log", settings)
        times: dict[str, Any] = json.loads((folder / "times.json").read_text(encoding="utf-8"))
        shutil.rmtree(folder / "bundle")
        click.echo(
            f"{name}: {'with' if tracked else 'without'} record, {times['loop_s']:.2f} s for {count} epochs, "
            f"{times['whole_s']:.2f} s in all (load before: {load:.2f})",
            err=True,
        )
        return {**times, "load_before": load}

    one("first", True, 1)
    trials = [one(f"{number:02d}", tracked, epochs) for number, tracked in enumerate(in_turns(repeats))]
    document = {
        "format": FORMAT,
        "bundle": source.name,
        "cases": cases,
        "epochs": epochs,
        "repeats": repeats,
        "overrides": list(overrides),
        "machine": describe_machine(),
        "trials": trials,
        "overhead": overhead_of(trials, int(train["max_epochs"])),
    }
    write_text_aside(out / "overhead.json", json.dumps(document, indent=2, allow_nan=False) + "\n")
    write_text_aside(out / "overhead.md", markdown(document))
    click.echo(markdown(document), nl=False)
    return 0


if __name__ == "__main__":
    run(command, "python -m benchmarks.tracking")
