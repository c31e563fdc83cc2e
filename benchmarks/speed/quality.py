"""`python -m benchmarks.speed.quality`: what the quick training learns, beside the plain one, over several seeds."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import click

from benchmarks.commands import run_logged
from benchmarks.entry import run
from benchmarks.machine import describe_machine, versions_of
from benchmarks.scale.stages import PLANAR
from benchmarks.speed.material import BUNDLE, as_setting, environment
from benchmarks.stages import Stages
from pipeline.atomic import write_text_aside
from pipeline.metrics import MEAN_OF_CLASSES

__all__ = ["PLAIN", "command", "markdown", "verdict"]

FORMAT = "planar-quality/1"
PACKAGES = ("planar", "torch", "monai", "numpy")
# The bundle as stock MONAI would have it: random transforms case by case in the data set, float32, the optimiser's
# plain loop. What is learnt, and by which steps, stays.
PLAIN = (
    "train#preprocessing#transforms=$@train#deterministic_transforms + @train#random_transforms",
    "train#trainer#prepare_batch=$monai.engines.default_prepare_batch",
    "network=$@network_def.to(@device)",
    "optimizer#fused=false",
)
RULE = (
    "The quick training is as good if the mean of its seeds lies no further below the mean of the plain one's than "
    "these lie apart (greatest less least)."
)


@click.command("benchmarks.speed.quality", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--data", required=True, type=click.Path(path_type=Path, exists=True), help="datalist.json, with a test part."
)
@click.option(
    "--work", required=True, type=click.Path(path_type=Path), help="Folder of trainings; one that was stopped goes on."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Files to write: OUT.json and OUT.md.")
@click.option("--bundle", default=BUNDLE, show_default=True, help="Whose plan; it is trained anew.")
@click.option("--size", default=128, show_default=True, type=click.IntRange(32), help="Of the network's input.")
@click.option("--epochs", default=12, show_default=True, type=click.IntRange(1), help="Of each training.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(2), help="Trainings of each way.")
@click.option("--note", default="", help="What else ran meanwhile; a sentence of the page.")
def command(data: Path, work: Path, out: Path, bundle: str, size: int, epochs: int, seeds: int, note: str) -> int:
    """Train a bundle as it is and in the plain way, with the same seeds and as many steps, and score the test part.

    Plain is stock MONAI's: random transforms case by case, float32. Status 1 if the quick way learns less by more than
    the plain seeds lie apart.
    """
    began = time.perf_counter()
    stages = Stages(work / "stages", lambda line: click.echo(f"{time.perf_counter() - began:5.0f} s  {line}", err=True))
    settings = {"bundle": bundle, "data": data.name, "size": size, "epochs": epochs}
    found: dict[str, list[dict[str, Any]]] = {"quick": [], "plain": []}
    for seed in range(seeds):
        # In turns, every other seed in the opposite order.
        for way in list(found)[:: 1 if seed % 2 == 0 else -1]:
            folder = work / f"{way}_{seed}"
            overrides = [
                f"seed={seed}",
                f"max_epochs={epochs}",
                f"val_interval={epochs}",  # the weights at the end, chosen by nothing
                as_setting("image_size", [size, size]),
                *(PLAIN if way == "plain" else ()),
            ]
            record = stages.do(
                f"{way}_{seed}",
                settings | {"seed": seed, "way": way},
                lambda folder=folder, overrides=overrides: _trained(bundle, data, folder, overrides),  # type: ignore[misc]
            )
            found[way].append({"seed": seed, **record})
    document = {
        "format": FORMAT,
        "machine": describe_machine(),
        "versions": versions_of(sys.executable, PACKAGES),
        **settings,
        "note": note,
        "plain": list(PLAIN),
        "trainings": found,
        "verdict": verdict(*([one["dice"] for one in found[way]] for way in ("quick", "plain"))),
    }
    write_text_aside(out.with_suffix(".json"), json.dumps(document, indent=2, allow_nan=False) + "\n")
    write_text_aside(out.with_suffix(".md"), markdown(document))
    click.echo(markdown(document), nl=False)
    return 0 if document["verdict"]["as_good"] else 1


def _trained(bundle: str, data: Path, folder: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """One training and its score on the test part, by the commands that a user has."""
    where = environment() | {"PLANAR_STATE": str((folder / "state").resolve())}
    trained, scored = folder / "bundle", folder / "evaluation"
    shutil.rmtree(trained, ignore_errors=True)
    train = ["train", bundle, "--data", str(data), "-o", str(trained), "--no-tracking", *overrides]
    seconds = run_logged([*PLANAR, *train], folder / "train.log", where)
    evaluate = ["evaluate", str(trained), "--data", str(data), "-o", str(scored), "--overwrite", "--no-tracking"]
    run_logged([*PLANAR, *evaluate, "--no-masks"], folder / "evaluate.log", where)
    metrics = json.loads((scored / "metrics.json").read_text(encoding="utf-8"))
    return {"dice": metrics["summary"][MEAN_OF_CLASSES]["per_image"]["dice"]["mean"], "train_seconds": seconds}


def verdict(quick: Sequence[float], plain: Sequence[float]) -> dict[str, Any]:
    """How far the means lie apart beside how far the plain seeds do; see `RULE`."""
    difference, apart = mean(quick) - mean(plain), max(plain) - min(plain)
    return {"difference": difference, "spread_of_plain": apart, "as_good": difference >= -apart, "rule": RULE}


def markdown(document: Mapping[str, Any]) -> str:
    """The page of a benchmark."""
    machine, found = document["machine"], document["verdict"]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items() if version)
    lines = [
        "# What the quick training learns",
        "",
        f"{machine['processor']}, {machine['cores']} cores; {versions}. Bundle {document['bundle']} on "
        f"{document['data']} at {document['size']}², {document['epochs']} epochs, weights of the last; Dice on the "
        "test part, mean of the classes. Plain: stock MONAI's way, random transforms case by case, float32, the "
        f"optimiser not fused. {document['note']}".rstrip(),
        "",
        "| | seed | Dice | training, s |",
        "|---|---|---|---|",
    ]
    for way, each in document["trainings"].items():
        lines += [f"| {way} | {one['seed']} | {one['dice']:.4f} | {one['train_seconds']:.0f} |" for one in each]
    said = "as good" if found["as_good"] else "**worse**"
    lines += [
        "",
        f"{found['rule']} Difference of the means {found['difference']:+.4f}, the plain seeds lie "
        f"{found['spread_of_plain']:.4f} apart: {said}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run(command, "python -m benchmarks.speed.quality")
