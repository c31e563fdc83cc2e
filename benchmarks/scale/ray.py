"""`python -m benchmarks.scale.ray`: a cohort over a Ray cluster that loses a worker, beside the same on one machine."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import psutil

from benchmarks.commands import PeerError, run_logged
from benchmarks.entry import run
from benchmarks.machine import describe_machine, versions_of
from benchmarks.scale.stages import PLANAR, ROOT
from pipeline.atomic import write_text_aside
from pipeline.cluster import require_ray

__all__ = ["Watched", "command", "compared", "markdown"]

FORMAT = "planar-ray/1"
PACKAGES = ("ray", "torch", "monai", "numpy")
# A cluster of so many workers on this machine alone, and the command in it.
IN_CLUSTER = (
    "import sys, ray; from pipeline.cli.main import main; "
    "ray.init(num_cpus=int(sys.argv.pop(1)), include_dashboard=False, log_to_driver=False, logging_level='ERROR', "
    "_node_ip_address='127.0.0.1'); main()"
)
WORKER = "ray::_Worker"
LOOK_EVERY_S = 0.05
LAST_WORDS = 300


@click.command("benchmarks.scale.ray", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--films", default=500, show_default=True, type=click.IntRange(20), help="Phantom films.")
@click.option("--size", default=512, show_default=True, type=click.IntRange(64), help="Of a film, pixels.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(2), help="Of the cluster.")
@click.option("--bundle", default="cxr_lung_segmentation", show_default=True, help="Bundle with weights.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Files to write: OUT.json and OUT.md.")
def command(films: int, size: int, workers: int, bundle: str, out: Path) -> int:
    """Segment films on one machine, then over a cluster, of which a worker is killed in the middle.

    Status 1 unless there is a mask of each film, none was written twice, and all files are the same byte for byte.
    """
    require_ray()
    began = time.perf_counter()

    def tell(line: str) -> None:
        click.echo(f"{time.perf_counter() - began:5.0f} s  {line}", err=True)

    with tempfile.TemporaryDirectory(prefix="planar-ray-") as name:
        folder = Path(name)
        # One compute thread in each process: the last bits of a network's sums depend on their number.
        settings = {"PYTHONPATH": str(ROOT), "PLANAR_STATE": str(folder / "state"), "OMP_NUM_THREADS": "1"}
        made = ["phantom", str(folder / "films"), "-n", str(films), "--size", str(size), "--format", "png"]
        run_logged([*PLANAR, *made], folder / "phantom.log", settings)
        tell(f"{films} films")
        asked = ["infer", bundle, str(folder / "films" / "images"), "--statistics", "--no-tracking", "-o"]
        alone_s = run_logged([*PLANAR, *asked, str(folder / "alone")], folder / "alone.log", settings)
        tell(f"one machine: {alone_s:.0f} s")
        words = [sys.executable, "-c", IN_CLUSTER, str(workers), *asked, str(folder / "spread"), "--engine", "ray"]
        watched = Watched(folder / "spread", films // 2)
        spread_s = watched.run(words, folder / "spread.log", os.environ | settings)
        tell(f"a cluster of {workers}: {spread_s:.0f} s")
        found = compared(folder / "alone", folder / "spread")
    document: dict[str, Any] = {
        "format": FORMAT,
        "machine": describe_machine(),
        "versions": versions_of(sys.executable, PACKAGES),
        "bundle": bundle,
        "films": films,
        "size": size,
        "workers": workers,
        "seconds": {"alone": alone_s, "cluster": spread_s},
        "masks_when_killed": watched.there_when_killed,
        "written_twice": len(watched.twice),
        **found,
    }
    document["as_it_should_be"] = (
        document["masks"] == document["rows"] == films
        and watched.there_when_killed is not None
        and not (watched.twice or found["different"] or found["missing"] or found["more"])
    )
    write_text_aside(out.with_suffix(".json"), json.dumps(document, indent=2, allow_nan=False) + "\n")
    write_text_aside(out.with_suffix(".md"), markdown(document))
    click.echo(markdown(document), nl=False)
    return 0 if document["as_it_should_be"] else 1


class Watched:
    """An inference that loses a worker when so many masks are there.

    Args:
        out: Its folder of masks.
        after: Masks that are there when the worker is killed.

    Attributes:
        there_when_killed: Masks that were there; None until one was killed.
        twice: Masks that were replaced by another file.
    """

    def __init__(self, out: Path, after: int) -> None:
        self.out = out
        self.after = after
        self.there_when_killed: int | None = None
        self.twice: set[str] = set()
        self._seen: dict[str, tuple[int, int]] = {}

    def run(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> float:
        """Run it to its end; the seconds it took.

        Raises: PeerError: if it ends with another status than 0.
        """
        began = time.perf_counter()
        with log.open("w", encoding="utf-8") as file:
            process = psutil.Popen(list(command), stdout=file, stderr=subprocess.STDOUT, env=dict(environment))
            while process.poll() is None:
                self.look()
                if self.there_when_killed is None and len(self._seen) >= self.after:
                    self._kill(process)
                time.sleep(LOOK_EVERY_S)
        seconds = time.perf_counter() - began
        self.look()
        if process.returncode:
            words = " ".join(log.read_text(encoding="utf-8", errors="replace").split())[-LAST_WORDS:]
            raise PeerError(f"The inference in the cluster ended with status {process.returncode}: … {words}")
        return seconds

    def look(self) -> None:
        """Note which file each mask is now."""
        for path in self.out.glob("*_mask.png"):
            with suppress(FileNotFoundError):
                state = path.stat()
                now = (state.st_ino, state.st_mtime_ns)
                if self._seen.setdefault(path.name, now) != now:
                    self.twice.add(path.name)

    def _kill(self, process: psutil.Process) -> None:
        with suppress(psutil.Error):
            ours = [one for one in process.children(recursive=True) if one.name().startswith(WORKER)]
            if ours:
                ours[0].kill()
                self.there_when_killed = len(self._seen)


def compared(alone: Path, spread: Path) -> dict[str, Any]:
    """Files of two inferences: masks and rows of the second, and how its files differ from the first's."""
    ours, theirs = (
        {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        for folder in (spread, alone)
    )
    with (spread / "statistics.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["file"] for row in csv.DictReader(file)}
    both = ours.keys() & theirs.keys()
    return {
        "masks": sum(name.endswith("_mask.png") for name in ours),
        "rows": len(rows),
        "files": len(ours),
        "different": sorted(name for name in both if ours[name].read_bytes() != theirs[name].read_bytes()),
        "missing": sorted(theirs.keys() - ours.keys()),
        "more": sorted(ours.keys() - theirs.keys()),
    }


def markdown(document: Mapping[str, Any]) -> str:
    """The page of a benchmark."""
    machine, seconds = document["machine"], document["seconds"]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    differing = [len(document[name]) for name in ("different", "missing", "more")]
    verdict = "As it should be." if document["as_it_should_be"] else "**Not as it should be.**"
    lines = [
        "# A cohort over a Ray cluster that loses a worker",
        "",
        f"{machine['processor']}, {machine['cores']} cores; {versions}. {document['films']} phantom films of "
        f"{document['size']} pixels, bundle {document['bundle']}, a cluster of {document['workers']} workers on this "
        "machine, one compute thread in each process. One was killed (SIGKILL) when "
        f"{document['masks_when_killed']} masks were there.",
        "",
        "| | |",
        "|---|---|",
        f"| masks | {document['masks']} of {document['films']} |",
        f"| films in statistics.csv | {document['rows']} |",
        f"| masks that were written twice | {document['written_twice']} |",
        f"| files that differ from those of one machine, of {document['files']} | {differing[0]} |",
        f"| files missing, files too many | {differing[1]}, {differing[2]} |",
        f"| one machine, s | {seconds['alone']:.1f} |",
        f"| the cluster, its start and the lost worker's share included, s | {seconds['cluster']:.1f} |",
        "",
        verdict,
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run(command, "python -m benchmarks.scale.ray")
