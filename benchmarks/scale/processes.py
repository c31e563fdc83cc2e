"""`python -m benchmarks.scale.processes`: what two processes of torchrun train a second, beside one."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import click

from benchmarks.entry import run
from benchmarks.machine import describe_machine, versions_of
from benchmarks.speed.material import Material, environment
from benchmarks.speed.process import Contestant, worker
from benchmarks.speed.summary import in_order, spread
from pipeline.atomic import write_text_aside

__all__ = ["command", "efficiencies", "markdown"]

FORMAT = "planar-processes/1"
PACKAGES = ("planar", "torch", "monai", "numpy")
NEVER = 1_000_000_000
PATIENCE_S = 900.0
BASE = "one"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node")


@click.command("benchmarks.scale.processes", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Folder of films and bundles; kept.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Files to write: OUT.json and OUT.md.")
@click.option("--processes", default=2, show_default=True, type=click.IntRange(2), help="Of torchrun.")
@click.option("--batch", default=8, show_default=True, type=click.IntRange(2), help="Pictures a step, of all together.")
@click.option("--size", default=256, show_default=True, type=click.IntRange(32), help="Of the network's input.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Turns of each.")
@click.option(
    "--turn", "turn_s", default=8.0, show_default=True, type=click.FloatRange(0.01), help="Seconds of a turn."
)
def command(work: Path, out: Path, processes: int, batch: int, size: int, rounds: int, turn_s: float) -> int:
    """Train the planned bundle by one process with one thread and by several of torchrun, in turns.

    Run it on a machine that does nothing else. A process has one compute thread each time. What several processes that
    exchange nothing do at the same time says what the cores give: the rest is the exchange.
    """
    began = time.perf_counter()

    def tell(line: str) -> None:
        click.echo(f"{time.perf_counter() - began:5.0f} s  {line}", err=True)

    material = Material(work.resolve(), 48, 2)
    tell("films and bundles")
    material.datalist(size)
    share = max(1, batch // processes)
    commands = {
        BASE: [_command(material, "one", size, batch)],
        "split": [_command(material, "split", size, share, processes)],
        "same": [_command(material, "same", size, batch, processes)],
        "apart": [_command(material, f"apart_{k}", size, share) for k in range(processes)],
    }
    turns = _turns(commands, work / "logs", rounds, turn_s, tell)
    document: dict[str, Any] = {
        "format": FORMAT,
        "machine": describe_machine(),
        "versions": versions_of(sys.executable, PACKAGES),
        "processes": processes,
        "batch": {BASE: batch, "split": share, "same": batch, "apart": share},
        "size": size,
        "turn_s": turn_s,
        "turns": turns,
        "rows": efficiencies(turns, processes),
    }
    write_text_aside(out.with_suffix(".json"), json.dumps(document, indent=2, allow_nan=False) + "\n")
    write_text_aside(out.with_suffix(".md"), markdown(document))
    click.echo(markdown(document), nl=False)
    return 0


def efficiencies(turns: Mapping[str, Sequence[Mapping[str, float]]], processes: int) -> dict[str, dict[str, Any]]:
    """For each way its pictures and steps a second, and its share of what so many times one process would do.

    Args:
        turns: By way its turns, in their order: "images", "steps" and "seconds".
        processes: Of the ways but for `BASE`.
    """
    rates = {name: [turn["images"] / turn["seconds"] for turn in each] for name, each in turns.items()}
    rows: dict[str, dict[str, Any]] = {}
    for name, own in rates.items():
        shares = [ours / one / (1 if name == BASE else processes) for ours, one in zip(own, rates[BASE], strict=True)]
        steps = [turn["steps"] / turn["seconds"] for turn in turns[name]]
        rows[name] = {"images": spread(own), "steps": median(steps), "efficiency": spread(shares)}
    return rows


def markdown(document: Mapping[str, Any]) -> str:
    """The page of a benchmark."""
    machine, processes, batch = document["machine"], document["processes"], document["batch"]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items() if version)
    titles = {
        BASE: f"train.yaml, one process, {batch[BASE]} pictures a step",
        "split": f"multi_gpu_train.yaml, {processes} processes of {batch['split']}: as many pictures a step",
        "same": f"multi_gpu_train.yaml, {processes} processes of {batch['same']} each",
        "apart": f"train.yaml, {processes} processes of {batch['apart']} that exchange nothing",
    }
    lines = [
        "# Training by several processes",
        "",
        f"{machine['processor']}, {machine['cores']} cores; {versions}. The planned chest bundle at "
        f"{document['size']}², one compute thread a process; in turns of {document['turn_s']:g} s, every other "
        "round in the opposite order. "
        "Medians, least and greatest; efficiency is pictures a second over those of so many single processes, turns of "
        "the same round.",
        "",
        "| | steps/s | pictures/s (range) | efficiency (range) |",
        "|---|---|---|---|",
    ]
    for name, row in document["rows"].items():
        images, share = row["images"], row["efficiency"]
        lines.append(
            f"| {titles[name]} | {row['steps']:.3g} | {images['median']:.3g} ({images['min']:.3g}–{images['max']:.3g}) "
            f"| {share['median']:.2f} ({share['min']:.2f}–{share['max']:.2f}) |"
        )
    return "\n".join(lines) + "\n"


def _command(material: Material, name: str, size: int, batch: int, processes: int = 1) -> list[str]:
    bundle = material.planar_bundle("planned").resolve()
    config = "train" if processes == 1 else "multi_gpu_train"
    repeats = -(-30 * batch * processes // material.count)
    data = f"$monai.data.load_decathlon_datalist(@datalist, data_list_key='training') * {repeats}"
    given = {
        "config": str(bundle / "configs" / f"{config}.yaml"),
        "bundle_root": str(bundle),
        "batch": batch,
        "threads": 1,
        "warm": 3,
        "settle": 1,
        "overrides": {
            "datalist": str(material.datalist(size).resolve()),
            "ckpt_dir": str((material.folder / "processes" / name).resolve()),
            "image_size": [size, size],
            "batch_size": batch,
            "max_epochs": NEVER,
            "val_interval": NEVER,
            "train#dataset#data": data,
            "train#dataset#hash_as_key": True,
        },
    }
    words = worker("process_training", given, material.folder / "settings" / f"processes_{name}.json")
    return words if processes == 1 else [words[0], *TORCHRUN, str(processes), *words[1:]]


def _turns(
    commands: Mapping[str, Sequence[list[str]]], logs: Path, rounds: int, turn_s: float, tell: Callable[[str], None]
) -> dict[str, list[dict[str, float]]]:
    """Let the ways work one after the other; those of one way at the same time."""
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    settings = environment() | {"OMP_NUM_THREADS": "1"}
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        running: list[tuple[str, list[Contestant]]] = []
        for name, several in commands.items():
            started = [
                stack.enter_context(Contestant(name, words, logs / f"processes_{name}_{k}.log", settings))
                for k, words in enumerate(several)
            ]
            for one in started:
                one.ready(PATIENCE_S)
            tell(f"{name} is ready")
            running.append((name, started))
        for order in in_order(len(running), rounds):
            for name, started in [running[place] for place in order]:
                told = list(pool.map(lambda one: one.turn(turn_s, PATIENCE_S), started))
                turns[name].append(_together(told))
                tell(f"{name}: {turns[name][-1]['images'] / turns[name][-1]['seconds']:.3g} pictures a second")
    return turns


def _together(told: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Turns of the same time as one: the pictures of all a second, and the steps of one."""
    seconds = max(turn["seconds"] for turn in told)
    images = sum(turn["images"] / turn["seconds"] for turn in told) * seconds
    steps = told[0]["steps"] / told[0]["seconds"] * seconds
    return {"images": images, "steps": steps, "seconds": seconds}


if __name__ == "__main__":
    run(command, "python -m benchmarks.scale.processes")
