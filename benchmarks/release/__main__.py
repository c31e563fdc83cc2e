"""Make the released bundles anew.

python -m benchmarks.release --data FOLDER --out FOLDER [--only NAME] [--minutes 30] [--recipes] [--install bundles]
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from benchmarks.entry import run
from benchmarks.release.commands import Setting
from benchmarks.release.releases import RELEASES
from benchmarks.release.steps import beside, make
from pipeline.atomic import write_text_aside

METRICS = ("dice", "iou", "precision", "recall", "hd95")


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of the sets.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of all that is made.")
@click.option("--only", multiple=True, type=click.Choice(list(RELEASES)), help="These bundles alone.")
@click.option("--minutes", type=float, help="Of each training.  [each bundle's own, 30]")
@click.option("--device", type=click.Choice(["cpu", "gpu"]), default="cpu", show_default=True)
@click.option("--cores", default=2, show_default=True)
@click.option("--memory", default=8.0, show_default=True, help="GB.")
@click.option("--max-parameters", type=int, default=3_800_000, show_default=True, help="15 MB in float32.")
@click.option("--recipes", is_flag=True, help="Train the published projects' recipes beside.")
@click.option("--recipes-alone", is_flag=True, help="The recipes beside the bundles in --install, which stay.")
@click.option("--install", type=click.Path(path_type=Path, exists=True), help="Folder to put finished bundles into.")
@click.option("--lists", is_flag=True, help="Make the datalists and no more, to verify a released bundle with.")
@click.option(
    "--start-from", metavar="BUNDLE|FILE", help="What the trainings of the bundles begin with, as planar train."
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="For the trainings of the bundles.")
def main(
    data: Path,
    out: Path,
    only: tuple[str, ...],
    minutes: float | None,
    device: str,
    cores: int,
    memory: float,
    max_parameters: int,
    recipes: bool,
    recipes_alone: bool,
    install: Path | None,
    lists: bool,
    start_from: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Index, plan, train, calibrate, score, show, pack and install each bundle; a run that was stopped goes on.

    \b
    A released bundle's record is checked where the data are by
      python -m benchmarks.release --data FOLDER --out lists --lists
      planar audit verify BUNDLE/docs/run.zip --checkpoint BUNDLE/models/model.pt --data lists/data/LIST.json
    """  # noqa: D301  (click reads the backspace as: keep the lines)
    machine = ("--device", device, "--cores", str(cores), "--memory", f"{memory:g}")
    machine += ("--max-parameters", str(max_parameters))
    bundles = install.resolve() if install is not None else None
    if recipes_alone and bundles is None:
        raise click.UsageError("--recipes-alone needs --install: the folder of the released bundles.")
    setting = Setting(data.resolve(), out.resolve(), minutes, machine, recipes, overrides, bundles, lists, start_from)
    found: dict[str, Any] = {}
    for name in only or RELEASES:
        found[name] = (beside if recipes_alone else make)(RELEASES[name], setting, click.echo)
        if lists:
            continue
        out.mkdir(parents=True, exist_ok=True)
        write_text_aside(out / "release.json", json.dumps(found, indent=2) + "\n")
        write_text_aside(out / "release.md", table(found))
    click.echo(f"Datalists: {out / 'data'}" if lists else f"Table: {out / 'release.md'}")


def table(found: dict[str, Any]) -> str:
    """One row a bundle or recipe, data set and class: means over subjects with 95 % intervals."""
    head = ["bundle", "test cases of", "class", "subjects", *METRICS, "minutes", "parameters"]
    rows = [head, ["---"] * len(head)]
    for name, made in found.items():
        blocks = [(name, data, scores, made) for data, scores in made["scores"].items()]
        if "recipe" in made:
            recipe = made["recipe"]
            first = next(iter(made["scores"]))
            blocks.append((f"{name}, recipe {recipe['name']}", first, recipe["scores"], recipe))
        for title, data, scores, about in blocks:
            for label, figures in scores.items():
                if label == "mean_of_classes":
                    continue
                cells = [_cell(figures.get(metric, {})) for metric in METRICS]
                parameters = f"{about['parameters'] / 1e6:.2f} M" if "parameters" in about else ""
                subjects = str(figures["dice"]["n"])
                rows.append([title, data, label, subjects, *cells, f"{about['seconds'] / 60:.1f}", parameters])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _cell(figures: dict[str, Any]) -> str:
    mean, low, high = (figures.get(key) for key in ("mean", "ci_low", "ci_high"))
    if mean is None:
        return "–"
    return f"{mean:.3f}" + (f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else "")


if __name__ == "__main__":
    run(main, "python -m benchmarks.release", "Stopped; the same command goes on where it was.")
