"""`python -m benchmarks.labelling`."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.entry import run
from benchmarks.label_server import LabelServer
from benchmarks.labelling.films import copy_films, make_films
from benchmarks.labelling.load import Load, annotate_for
from benchmarks.labelling.steadiness import growth, memory_of
from benchmarks.labelling.table import chart, markdown
from benchmarks.machine import describe_machine
from pipeline.atomic import write_text_aside
from pipeline.bundle import find_bundle
from pipeline.label_app.start import require_monailabel

FORMAT = "planar-labelling/1"
# Of the chart.
POINTS = 300


@click.command("benchmarks.labelling", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--clients", type=click.IntRange(1), default=4, show_default=True, help="Annotators at once.")
@click.option("--minutes", type=float, default=10.0, show_default=True, help="How long they work.")
@click.option("--bundle", default="cxr_lung_segmentation", show_default=True, help="Bundle with weights.")
@click.option(
    "--films",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Files or folders of films; copies are used.  [the phantom's]",
)
@click.option("--note", default="", help="What else ran meanwhile; a sentence of the table.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Files to write: OUT.json, .md and .svg.")
def command(clients: int, minutes: float, bundle: str, films: tuple[Path, ...], note: str, out: Path) -> int:
    """Let CLIENTS annotators work with a labelling server of this benchmark's own; status 1 if anything failed.

    They ask for masks of films of all kinds, in any order, and save every fifth as a label. Run it on a machine that
    does nothing else. It needs MONAI Label's environment (make label).
    """
    require_monailabel()
    with tempfile.TemporaryDirectory(prefix="planar-labelling-") as name:
        folder = Path(name)
        studies = folder / "studies"
        if films:
            copy_films(films, studies)
        else:
            make_films(studies)
        files = Counter(path.suffix.lower().removeprefix(".") for path in studies.rglob("*") if path.is_file())
        server = LabelServer(folder / "server", ["--studies", studies, "--bundle", bundle])
        load_before = os.getloadavg()[0]
        try:
            server.start()
            objects = server.client.datastore()["objects"]
            with memory_of(server.pid) as samples:
                model = find_bundle(bundle).name
                load = annotate_for(60 * minutes, server.uri, model, sorted(objects), clients, folder)
        finally:
            server.stop()
        errors = sum(" ERROR " in line for line in server.log.read_text(errors="replace").splitlines())
    document = {
        "format": FORMAT,
        "bundle": find_bundle(bundle).name,
        "clients": clients,
        "minutes": minutes,
        "images": len(objects),
        "kinds": ", ".join(f"{number} {kind}" for kind, number in sorted(files.items())),
        "note": note,
        "load_before": load_before,
        "machine": describe_machine(),
        **_figures(load),
        "errors_in_log": errors,
        "memory": growth(samples),
        "memory_over_time": [[round(s, 1), round(mib, 1)] for s, mib in samples[:: max(1, len(samples) // POINTS)]],
    }
    write_text_aside(out.with_suffix(".json"), json.dumps(document, indent=1, allow_nan=False) + "\n")
    write_text_aside(out.with_suffix(".md"), markdown(document))
    write_text_aside(out.with_suffix(".svg"), chart(document))
    click.echo(markdown(document), nl=False)
    return 1 if load.failures or errors else 0


def _figures(load: Load) -> dict[str, Any]:
    waited, computed = ([one[place] for one in load.inferences] or [0.0] for place in (1, 2))
    return {
        "inferences": len(load.inferences),
        "saved": load.saved,
        "failures": load.failures,
        "seconds": {
            name: {"median": float(np.median(values)), "p95": float(np.percentile(values, 95))}
            for name, values in (("waited", waited), ("computed", computed))
        },
    }


if __name__ == "__main__":
    run(command, "python -m benchmarks.labelling")
