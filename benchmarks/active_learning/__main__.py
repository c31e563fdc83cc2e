"""`python -m benchmarks.active_learning`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click

from benchmarks.active_learning.outcome import chart, markdown
from benchmarks.entry import run
from pipeline.atomic import write_text_aside
from pipeline.errors import InvalidOption
from pipeline.label_app.start import require_monailabel

STRATEGIES = ("random", "uncertainty", "diversity", "both")


@click.command("benchmarks.active_learning", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="datalist.json: training, test.")
@click.option("--external", type=click.Path(path_type=Path), help="datalist.json of another hospital; its test part.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of everything.")
@click.option("--task", default="configs/tasks/cxr_lung.yaml", show_default=True, type=click.Path(path_type=Path))
@click.option("--bundle", default="cxr_lung_segmentation", show_default=True, help="Bundle whose fingerprint is used.")
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    default=("random", "uncertainty", "both"),
    show_default=True,
    type=click.Choice(STRATEGIES),
    help="Who chooses the next film.",
)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Repetitions.")
@click.option("--labels", default="10,20,40,80", show_default=True, help="Numbers of labels, growing.")
@click.option("--pictures", type=click.IntRange(1), default=4000, show_default=True, help="Seen in each training.")
def command(
    overrides: tuple[str, ...],
    data: Path,
    external: Path | None,
    out: Path,
    task: Path,
    bundle: str,
    strategies: tuple[str, ...],
    seeds: int,
    labels: str,
    pictures: int,
) -> int:
    """Measure what the labelling app's choice of the next film is worth on films whose masks are known.

    With each seed, the first films are chosen at random; from then on each strategy has the films that it asks for
    labelled, and a model is trained from random weights on all labels so far. Scored are the test part of DATA and that
    of EXTERNAL. A run that was stopped goes on where it was. The result is OUT/active_learning.md, .json and .svg.

    It needs MONAI Label's environment (make label). KEY=VALUE overrides a key of the train config.
    """
    sizes = _sizes(labels)
    require_monailabel()
    from benchmarks.active_learning.measuring import Asked, measure

    asked = Asked(data, external, out, task, bundle, strategies, seeds, sizes, pictures, overrides)
    document = measure(asked, partial(click.echo, err=True))
    write_text_aside(out / "active_learning.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    write_text_aside(out / "active_learning.md", markdown(document))
    write_text_aside(out / "active_learning.svg", chart(document))
    click.echo(markdown(document), nl=False)
    return 0


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if len(sizes) < 2 or sizes != sorted(set(sizes)) or sizes[0] < 2:
        raise InvalidOption(f"--labels {text} is no growing list of numbers from 2 on, such as 10,20,40,80.")
    return tuple(sizes)


if __name__ == "__main__":
    run(command, "python -m benchmarks.active_learning", "Stopped. The same command goes on where it was.")
