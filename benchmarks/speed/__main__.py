"""`python -m benchmarks.speed`."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from benchmarks.entry import run
from benchmarks.machine import describe_machine
from benchmarks.speed.cold import measure_cold
from benchmarks.speed.contest import PARTS, USUAL_PARTS, floor_of, measure, versions
from benchmarks.speed.contestants import PACKAGES, Peers, Scale
from benchmarks.speed.material import Material
from benchmarks.speed.summary import markdown
from pipeline.atomic import write_text_aside
from pipeline.errors import InvalidOption

FORMAT = "planar-speed/1"
SCALES = {
    "cpu": Scale("cpu", 1, 8, (256, 512), (256, 512, 2048), (256, 512, 512), 48, (64, 32, 16), 3.2, 3, 3),
    "gpu": Scale("gpu", 1, 32, (256, 512), (256, 512, 2048), (256, 512, 512), 96, (160, 96, 32), 2.0, 3, 1),
    "quick": Scale("cpu", 1, 2, (64,), (96,), (64,), 8, (20,), 0.2, 2, 1),
}


@click.command("benchmarks.speed", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder of everything; films are kept there."
)
@click.option("--data", type=click.Path(path_type=Path), help="datalist.json with films of one class.  [phantoms]")
@click.option("--scale", type=click.Choice([*SCALES]), help="How much is measured.  [by the machine]")
@click.option(
    "--part",
    "parts",
    type=click.Choice(PARTS),
    multiple=True,
    help="What is measured; may be repeated.  [the first three]",
)
@click.option(
    "--only", multiple=True, metavar="NAME", help="Only contestants whose names begin so, and the peer's bundle."
)
@click.option("--rounds", type=click.IntRange(1), help="Turns of each contestant.")
@click.option("--turn", "turn_s", type=click.FloatRange(0.01), help="Seconds of a turn.")
@click.option("--batch", type=click.IntRange(1), help="Pictures a training step.")
@click.option(
    "--peer",
    "pythons",
    type=(click.Choice([*PACKAGES]), click.Path(path_type=Path)),
    multiple=True,
    metavar="NAME PYTHON",
    help=f"Python of the environment that a peer is installed in: {', '.join(PACKAGES)}.  [this one]",
)
def command(
    out: Path,
    data: Path | None,
    scale: str | None,
    parts: tuple[str, ...],
    only: tuple[str, ...],
    rounds: int | None,
    turn_s: float | None,
    batch: int | None,
    pythons: tuple[tuple[str, Path], ...],
) -> int:
    """Time training, inference and start-up of Planar and its peers, in turns on the same films.

    Run it on a machine that does nothing else. The result is OUT/speed.md and OUT/speed.json. A peer that is not
    installed is left out, and the page says so.
    """
    for name, python in pythons:
        if not python.is_file():
            raise InvalidOption(f"{python} is not there; expected the Python of an environment with {name}.")
    machine = describe_machine()
    settings = SCALES[scale or ("gpu" if machine["gpu"] else "cpu")]
    given = {"cores": machine["cores"], "rounds": rounds, "turn_s": turn_s, "batch": batch}
    settings = replace(settings, **{name: value for name, value in given.items() if value is not None})
    if machine["gpu"]:
        settings = replace(settings, device="gpu")
    # A link to a Python is its environment: it must not be followed.
    peers = Peers({name: Path(os.path.abspath(python)) for name, python in pythons})  # noqa: PTH100
    material = Material(out.resolve(), settings.films, settings.cores, data)
    began = time.perf_counter()

    def tell(line: str) -> None:
        click.echo(f"{time.perf_counter() - began:5.0f} s  {line}", err=True)

    document: dict[str, Any] = {
        "format": FORMAT,
        "machine": machine,
        "load_before": os.getloadavg()[0],
        "versions": versions(peers),
        "scale": asdict(settings),
        "command": " ".join(["python -m benchmarks.speed", *_plain(sys.argv[1:])]),
    }
    skipped: dict[str, str] = {}
    wanted = parts or USUAL_PARTS
    tell("films and bundles")
    document["floor"] = floor_of(material, settings)
    document |= {"measurements": [], "cold": {}, "skipped": skipped}

    def publish() -> None:
        document["seconds"] = time.perf_counter() - began
        write_text_aside(out / "speed.json", json.dumps(document, indent=2, allow_nan=False) + "\n")
        write_text_aside(out / "speed.md", markdown(document))

    for part in (one for one in PARTS if one in wanted and one != "cold"):
        for size in settings.inference_sizes if part == "inference" else settings.training_sizes:
            found = measure(part, size, material, settings, peers, document["floor"], skipped, tell, only)
            document["measurements"].append(found)
            publish()  # what comes later may fail, or be stopped
    if "cold" in wanted:
        document["cold"] = measure_cold(material, settings.cold_rounds, skipped, tell)
    publish()
    click.echo(markdown(document), nl=False)
    return 0


def _plain(words: list[str]) -> list[str]:
    """The arguments with the names of files in place of their paths."""
    return [Path(word).name if os.sep in word else word for word in words]


if __name__ == "__main__":
    run(command, "python -m benchmarks.speed")
