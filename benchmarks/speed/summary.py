"""From turns to medians, spread and ratios, and a page of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

__all__ = ["in_order", "markdown", "rows_of", "spread"]


def in_order(count: int, rounds: int) -> list[list[int]]:
    """Who works when: in every other round in the opposite order, so that a machine that slows down does so for all."""
    return [list(range(count))[:: 1 if turn % 2 == 0 else -1] for turn in range(rounds)]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and greatest."""
    return {"median": median(values), "min": min(values), "max": max(values)}


def rows_of(
    turns: Mapping[str, Sequence[Mapping[str, float]]], base: str | None, floors: Mapping[str, float]
) -> list[dict[str, Any]]:
    """One row a contestant.

    Args:
        turns: By contestant its turns, in their order: "images" in "seconds", maybe with "processor_seconds".
        base: The contestant that the others are compared with; None for no comparison.
        floors: Least time a picture on this machine, s, where it is known.
    Returns: "rate" (pictures a second) and "ratio" (to the base's turn of the same round), each with its spread;
        "of_floor": the share of the rate that the machine allows.
    """
    rates = {name: [turn["images"] / turn["seconds"] for turn in each] for name, each in turns.items()}
    rows = []
    for name, own in rates.items():
        row: dict[str, Any] = {"name": name, "rate": spread(own), "turns": [dict(turn) for turn in turns[name]]}
        if base in rates and base is not None:
            pairs = list(zip(own, rates[base], strict=False))
            row["ratio"] = spread([ours / theirs for ours, theirs in pairs])
        used = [t["processor_seconds"] / t["images"] for t in turns[name] if "processor_seconds" in t]
        if used:
            row["processor_seconds_an_image"] = median(used)
        if name in floors:
            row["floor_rate"] = 1 / floors[name]
            row["of_floor"] = median(own) * floors[name]
        rows.append(row)
    return rows


def markdown(document: Mapping[str, Any]) -> str:
    """The whole benchmark as a page."""
    machine = document["machine"]
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    rates = document["floor"]["machine"]
    lines = [
        "# Speed",
        "",
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB{gpu}. Measured: "
        f"{rates['fp32'] / 1e9:.0f} GFLOP/s in float32 and {rates['bf16'] / 1e9:.0f} in bfloat16 (matrix product), "
        f"{rates['bytes'] / 1e9:.1f} GB/s (copy, read and written). Load before (one minute): "
        f"{document['load_before']:.2f}. {_versions(document['versions'])}",
        "",
        f"Contestants work in turns of {document['scale']['turn_s']:g} s, {document['scale']['rounds']} each, every "
        "other round in the opposite order; medians, least and greatest. One whose step or pass takes longer than "
        "three turns has a single one: its ranges are points. Ratios are of turns of the same round. The floor is the "
        "longer of the network's operations at the measured rate of matrix products and its memory traffic at the "
        "measured bandwidth.",
    ]
    for measurement in document["measurements"]:
        lines += ["", f"## {measurement['title']}", "", *_table(measurement)]
    if document["cold"]:
        lines += ["", "## Cold start, whole processes", "", *_cold(document["cold"])]
    if document["skipped"]:
        lines += ["", "## Not measured", ""]
        lines += [f"- {name}: {why}." for name, why in sorted(document["skipped"].items())]
    lines += ["", "```", document["command"], "```", ""]
    return "\n".join(lines)


def _table(measurement: Mapping[str, Any]) -> list[str]:
    lines = [
        f"| | {measurement['unit']} (range) | ratio to {measurement['base_title']} (range) | of the floor | "
        "processor s a picture |",
        "|---|---|---|---|---|",
    ]
    for row in measurement["rows"]:
        floor = f"{100 * row['of_floor']:.0f} % of {row['floor_rate']:.3g}" if "of_floor" in row else "–"
        used = f"{row['processor_seconds_an_image']:.3g}" if "processor_seconds_an_image" in row else "–"
        lines.append(
            f"| {measurement['titles'][row['name']]} | {_shown(row['rate'])} | "
            f"{_shown(row['ratio']) if 'ratio' in row else '–'} | {floor} | {used} |"
        )
    return lines


def _cold(cold: Mapping[str, Any]) -> list[str]:
    lines = ["| | s (range) | ratio to the first (range) |", "|---|---|---|"]
    for row in cold["rows"]:
        lines.append(
            f"| {row['title']} | {_shown(row['seconds'])} | {_shown(row['ratio']) if 'ratio' in row else '–'} |"
        )
    return lines


def _shown(values: Mapping[str, float]) -> str:
    return f"{values['median']:.3g} ({values['min']:.3g}–{values['max']:.3g})"


def _versions(versions: Mapping[str, Mapping[str, str | None]]) -> str:
    told = [
        f"{place}: " + ", ".join(f"{name} {version}" for name, version in packages.items() if version)
        for place, packages in versions.items()
    ]
    return "; ".join(told) + "."
