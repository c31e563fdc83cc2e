"""`python -m benchmarks.dicom`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from benchmarks.dicom.films import make_films
from benchmarks.dicom.memory import watched
from benchmarks.dicom.table import markdown
from benchmarks.entry import run
from benchmarks.machine import describe_machine, versions_of
from benchmarks.orthanc import Orthanc, find_orthanc, why_no_orthanc
from pipeline.atomic import write_text_aside
from pipeline.errors import MissingExtra, PlanarError

FORMAT = "planar-dicom/1"
PACKAGES = ("torch", "monai", "pydicom", "highdicom", "dicomweb-client", "pylibjpeg", "pyjpegls")


class InferenceError(PlanarError, RuntimeError):
    """The command that is measured did not end well."""


@click.command("benchmarks.dicom", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--films", type=click.IntRange(1), default=300, show_default=True, help="Films.")
@click.option("--size", type=click.IntRange(64), default=1024, show_default=True, help="Pixels along the longer side.")
@click.option("--bundle", default="cxr_lung_segmentation", show_default=True, help="Bundle with weights.")
@click.option("--threads", type=click.IntRange(1), help="Compute threads; by default torch's own number.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder of the films: made there, or taken from there.")
@click.option("--note", default="", help="What else ran meanwhile; a sentence of the table.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Files to write: OUT.json and OUT.md.")
def command(films: int, size: int, bundle: str, threads: int | None, keep: Path | None, note: str, out: Path) -> int:
    """Segment FILMS from an Orthanc of this benchmark's own and store the results there.

    Run it on a machine that does nothing else.
    """
    if (reason := why_no_orthanc()) is not None:
        raise MissingExtra(reason)
    environment = {**os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {})}
    with tempfile.TemporaryDirectory(prefix="planar-bench-") as name:
        folder = Path(name)
        click.echo("Making films …", err=True)
        made = make_films(keep or folder / "films", films, size, workers=os.cpu_count() or 1)
        archive = Orthanc(folder / "orthanc")
        try:
            archive.start()
            archive.send(path for paths in made.values() for path in paths)
            load = os.getloadavg()[0]
            times, peaks = _measured(bundle, archive, folder, environment)
            again, _ = _measured(bundle, archive, folder, environment)
            segs = len(archive.find(Modality="SEG"))
        finally:
            archive.stop()
    versions: dict[str, Any] = dict(versions_of(sys.executable, PACKAGES))
    said = subprocess.run([str(find_orthanc()), "--version"], capture_output=True, text=True, check=False).stdout
    document = {
        "format": FORMAT,
        "bundle": bundle,
        "size": size,
        "syntaxes": {syntax: len(paths) for syntax, paths in made.items()},
        "threads": threads or os.cpu_count(),
        "load_before": load,
        "note": note,
        "machine": describe_machine(),
        "versions": {**versions, "orthanc": said.split()[1] if len(said.split()) > 1 else "of unknown version"},
        "run": times,
        "again": again,
        "segs": segs,
        "peak_mib": peaks,
    }
    write_text_aside(out.with_suffix(".json"), json.dumps(document, indent=2, allow_nan=False) + "\n")
    write_text_aside(out.with_suffix(".md"), markdown(document))
    click.echo(markdown(document), nl=False)
    return 0


def _measured(
    bundle: str, archive: Orthanc, folder: Path, environment: dict[str, str]
) -> tuple[dict[str, Any], dict[str, float]]:
    times = folder / "times.json"
    words = [sys.executable, "-m", "benchmarks.dicom.inference", bundle, archive.address]
    with (folder / "inference.log").open("wb") as log:
        process = subprocess.Popen([*words, str(folder / "out"), str(times)], stdout=log, stderr=log, env=environment)
        with watched({"command": process.pid, "orthanc": archive.pid}) as peaks:
            status = process.wait()
    if status:
        said = (folder / "inference.log").read_text(errors="replace")
        raise InferenceError(f"The inference ended with status {status}: … {' '.join(said.split())[-300:]}")
    document: dict[str, Any] = json.loads(times.read_text(encoding="utf-8"))
    return document, peaks.mib


if __name__ == "__main__":
    run(command, "python -m benchmarks.dicom")
