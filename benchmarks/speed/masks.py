"""`python -m benchmarks.speed.masks`: masks of every quick way of inference beside the plain one's, on given sets."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import numpy.typing as npt

from benchmarks.cases import cases_of
from benchmarks.entry import run
from benchmarks.machine import describe_machine, versions_of
from pipeline.atomic import write_text_aside
from pipeline.bundle import Bundle, find_bundle
from pipeline.errors import InvalidBundle, InvalidDatalist, MissingExtra
from pipeline.split import PARTS

__all__ = ["LEAST_DICE", "WAYS", "command", "dice", "markdown", "summary"]

FORMAT = "planar-masks/1"
PACKAGES = ("planar", "torch", "monai", "numpy", "openvino")
LEAST_DICE = 0.999
WAYS = {
    "bfloat16": "the network in bfloat16, MONAI's transforms",
    "quick": "float32, the quick resizing and percentiles",
    "usual": "as planar infer runs here: both",
    "program": "the exported program",
}
Mask = npt.NDArray[np.uint8]
# A way's masks of a picture; None for one that it leaves to another.
Masks = Callable[[str], Mask | None]


@click.command("benchmarks.speed.masks", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--pair",
    "pairs",
    type=(str, click.Path(path_type=Path, exists=True)),
    multiple=True,
    required=True,
    metavar="BUNDLE DATALIST",
    help="A bundle with weights and pictures for it; may be repeated.",
)
@click.option(
    "--cases", default=40, show_default=True, type=click.IntRange(1), help="Pictures of a set, evenly spread."
)
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Folder of copies of the bundles.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Files to write: OUT.json and OUT.md.")
def command(pairs: tuple[tuple[str, Path], ...], cases: int, work: Path, out: Path) -> int:
    """Compare masks of bfloat16, of quick resizing, of both, and of the exported program with plain float32.

    Plain is stock MONAI's: its own transforms, the network in float32. Status 1 if the mean Dice of a class over the
    pictures of a set is below 0.999.
    """
    began = time.perf_counter()

    def tell(line: str) -> None:
        click.echo(f"{time.perf_counter() - began:5.0f} s  {line}", err=True)

    sets = []
    for number, (name, data) in enumerate(pairs):
        bundle = _copy(find_bundle(name), work / str(number))
        found = cases_of(data, PARTS)
        if not found:
            raise InvalidDatalist(f"{data} has no cases. Index a folder of pictures with their masks.")
        chosen = [found[k].image for k in sorted({round(k) for k in np.linspace(0, len(found) - 1, cases)})]
        tell(f"{data.stem}: {len(chosen)} of {len(found)} pictures")
        sets.append({"set": data.stem, "bundle": bundle.name, **_compared(bundle, chosen, tell)})
    document = {
        "format": FORMAT,
        "machine": describe_machine(),
        "versions": versions_of(sys.executable, PACKAGES),
        "least": LEAST_DICE,
        "sets": sets,
    }
    write_text_aside(out.with_suffix(".json"), json.dumps(document, indent=2, allow_nan=False) + "\n")
    write_text_aside(out.with_suffix(".md"), markdown(document))
    click.echo(markdown(document), nl=False)
    enough = all(row["mean"] >= LEAST_DICE for one in sets for row in one["ways"].values() if row["pictures"])
    return 0 if enough else 1


def dice(one: Mask, other: Mask, label: int) -> float | None:
    """Of a class; None where neither has it."""
    ours, theirs = one == label, other == label
    total = int(ours.sum()) + int(theirs.sum())
    return 2 * int((ours & theirs).sum()) / total if total else None


def summary(found: Sequence[Mapping[int, float | None]]) -> dict[str, Any]:
    """Of a way's pictures, each by class: the mean of the class with the lowest mean, and the lowest single Dice."""
    by_class: dict[int, list[float]] = {}
    for one in found:
        for label, value in one.items():
            if value is not None:
                by_class.setdefault(label, []).append(value)
    means = {str(label): mean(values) for label, values in sorted(by_class.items())}
    return {
        "pictures": len(found),
        "by_class": means,
        "mean": min(means.values(), default=1.0),
        "lowest": min((value for values in by_class.values() for value in values), default=1.0),
    }


def markdown(document: Mapping[str, Any]) -> str:
    """The page of a benchmark."""
    machine = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items() if version)
    lines = [
        "# Masks of the quick ways beside the plain one's",
        "",
        f"{machine['processor']}, {machine['cores']} cores ({', '.join(machine['instructions'])}); {versions}. Dice "
        "against the network in float32 behind MONAI's own transforms: of the class with the lowest mean, over the "
        f"pictures of a set, and the lowest of one picture. Asked: a mean of {document['least']}.",
        "",
        "| set | way | pictures | mean | lowest |",
        "|---|---|---|---|---|",
    ]
    for one in document["sets"]:
        for way, row in one["ways"].items():
            least = "" if row["mean"] >= document["least"] else " **below**"
            shown = f"{row['mean']:.5f}{least} | {row['lowest']:.5f}"
            if row["pictures"]:
                lines.append(f"| {one['set']} | {WAYS[way]} | {row['pictures']} | {shown} |")
        if one["no_program"]:
            lines.append(f"| {one['set']} | {WAYS['program']} | – | {one['no_program']} | |")
    return "\n".join(lines) + "\n"


def _copy(bundle: Bundle, folder: Path) -> Bundle:
    """A copy that a program may be put into; its name says what it is."""
    root = folder / bundle.root.name
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(bundle.root, root)
    return find_bundle(str(root))


def _compared(bundle: Bundle, names: Sequence[str], tell: Callable[[str], None]) -> dict[str, Any]:
    from pipeline.tasks.workflow import quiet_libraries

    with quiet_libraries():
        plain, ways = _ways(bundle)
        program, no_program = _program(bundle)
        if program is not None:
            ways["program"] = lambda name: getattr(next(iter(program([name]))), "mask", None)
        labels = range(1, len(bundle.labels("inference")))
        found: dict[str, list[dict[int, float | None]]] = {way: [] for way in ways}
        for name in names:
            wanted = plain(name)
            assert wanted is not None
            for way, masks in ways.items():
                mask = masks(name)
                if mask is not None:
                    found[way].append({label: dice(mask, wanted, label) for label in labels})
    if program is not None and program.left:
        no_program = "; ".join(f"left {count} to the bundle: {why}" for why, count in program.left.items())
    told = {way: summary(each) for way, each in found.items()}
    tell("; ".join(f"{way} {row['mean']:.5f}" for way, row in told.items()) + (f"; {no_program}" if no_program else ""))
    return {"ways": told, "no_program": no_program}


def _ways(bundle: Bundle) -> tuple[Masks, dict[str, Masks]]:
    """The plain way, and the quick ones of the bundle itself."""
    from pipeline.exported import plain_copy
    from pipeline.tasks.infer import predictor

    def built(*, quick: bool, lower: bool) -> Masks:
        chain = predictor.quicker if quick else lambda steps: steps
        with patch.object(predictor, "quicker", chain):
            made = predictor.Predictor(bundle, (bundle.weights,), {})
        if not lower:
            made.network = plain_copy(made.network).to(made.device)
        return lambda name: next(iter(made([name]))).mask

    ways = {
        "bfloat16": built(quick=False, lower=True),
        "quick": built(quick=True, lower=False),
        "usual": built(quick=True, lower=True),
    }
    return built(quick=False, lower=False), ways


def _program(bundle: Bundle) -> tuple[Any, str]:
    """What predicts by the exported program, made anew, or None and why there is none."""
    from pipeline.exported import program_of
    from pipeline.tasks.export import export_program
    from pipeline.tasks.infer.exported import ExportedPredictor

    try:
        export_program(str(bundle.root))
    except (InvalidBundle, MissingExtra) as error:
        return None, " ".join(str(error).split())
    file, reason = program_of(bundle)
    if file is None:
        return None, reason

    def left() -> Any:
        return (lambda names, probabilities=False: iter([None]), None)  # the other ways are the bundle

    return ExportedPredictor(file, None, left), ""


if __name__ == "__main__":
    run(command, "python -m benchmarks.speed.masks")
