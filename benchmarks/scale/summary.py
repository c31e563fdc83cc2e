"""What a stage costs for each film and before the first one, from runs with several numbers of films."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["line_of", "markdown"]


def line_of(runs: Sequence[Mapping[str, Any]], stage: str, what: str) -> tuple[float, float]:
    """Least-squares line of a cost over the number of films: before the first film, and for each; at least two runs."""
    films = [run["films"] for run in runs]
    slope, start = np.polyfit(films, [run["stages"][stage][what] for run in runs], 1)
    return float(start), float(slope)


def markdown(document: Mapping[str, Any]) -> str:
    """The page of a benchmark."""
    runs: list[Mapping[str, Any]] = document["runs"]
    machine = document["machine"]
    lines = [
        "# Films by the thousand",
        "",
        f"{machine['processor']}, {machine['cores']} cores; phantom films, {document['size']} pixels. A small network "
        "(8–32 channels, input 64²): what is measured is what stands around it. Memory is that of all processes of a "
        "command together.",
        "",
        "| stage | films | wall s | processor s | ms a film | peak MB |",
        "|---|---|---|---|---|---|",
    ]
    stages = list(runs[0]["stages"])
    for stage in stages:
        for run in runs:
            cost, films = run["stages"][stage], run["films"]
            each = f"{1000 * cost['processor_seconds'] / films:.1f}"
            lines.append(
                f"| {stage} | {films} | {cost['seconds']:.1f} | {cost['processor_seconds']:.1f} | {each} | "
                f"{cost['peak_mb']:.0f} |"
            )
    lines += ["", *(f"{run['films']} films: {run['cases']} cases indexed, {run['masks']} masks." for run in runs)]
    if len({run["films"] for run in runs}) > 1:
        lines += ["", *_fitted(runs, stages, document["target"])]
    return "\n".join(lines) + "\n"


def _fitted(runs: Sequence[Mapping[str, Any]], stages: Sequence[str], target: int) -> list[str]:
    measured = any(run["films"] >= target for run in runs)
    lines = [
        f"Lines through these, and what they say of {target} films{'' if measured else ' (not measured)'}:",
        "",
        f"| stage | before the first film, processor s | for each film, ms | {target} films, processor minutes | "
        "memory for each film, MB |",
        "|---|---|---|---|---|",
    ]
    for stage in stages:
        start, each = line_of(runs, stage, "processor_seconds")
        _, memory = line_of(runs, stage, "peak_mb")
        minutes = (start + each * target) / 60
        lines.append(f"| {stage} | {start:.1f} | {1000 * each:.1f} | {minutes:.1f} | {memory:.3f} |")
    return lines
