"""From the times of trainings with and without a record to what the record costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

__all__ = ["in_turns", "markdown", "overhead_of"]

Times = Mapping[str, Any]

# What is compared: a column of the times, and what it is.
MEASURES = {
    "loop_s": "epochs, wall clock",
    "loop_cpu_s": "epochs, processor time",
    "whole_s": "whole training, wall clock",
    "whole_cpu_s": "whole training, processor time",
}


def in_turns(repeats: int) -> list[bool]:
    """Whether each training is recorded, in order: without, with, with, without, and so on.

    So a machine that becomes slower or faster does so for both alike.
    """
    return [turn in (1, 2) for turn in (index % 4 for index in range(2 * repeats))]


def overhead_of(trials: Sequence[Times], planned_epochs: int) -> dict[str, Any]:
    """What the record costs.

    Args:
        trials: Times of trainings as `benchmarks.tracking.training` writes them, in the order they were made; each
            pair of neighbours has one with and one without a record.
        planned_epochs: Epochs of the whole training, of which the trials had a few.
    Returns: Medians, spread and ratios of what was measured; "ends" is what beginning and ending the record adds, s,
        and "planned" what both come to in a training of the planned length.
    Raises: ValueError: if a pair has not one of each.
    """
    pairs = [sorted(trials[start : start + 2], key=lambda one: one["tracked"]) for start in range(0, len(trials), 2)]
    if not pairs or any([one["tracked"] for one in pair] != [False, True] for pair in pairs):
        raise ValueError("each pair of neighbours must have one training with and one without a record")
    without, recorded = ([pair[which] for pair in pairs] for which in (0, 1))
    measured = {}
    for name in MEASURES:
        ratios = [pair[1][name] / pair[0][name] for pair in pairs]
        measured[name] = {
            "without": _spread([one[name] for one in without]),
            "with": _spread([one[name] for one in recorded]),
            "ratio": median(one[name] for one in recorded) / median(one[name] for one in without),
            "ratio_of_pairs": _spread(ratios),
        }
    epochs = len(trials[0]["epochs_s"])
    planned = [_planned(group, epochs, planned_epochs) for group in (without, recorded)]
    return {
        "measured": measured,
        "ends": {part: _median(recorded, part) - _median(without, part) for part in ("before_s", "after_s")},
        "planned": {"epochs": planned_epochs, "without_s": planned[0], "with_s": planned[1]}
        | {"ratio": planned[1] / planned[0]},
    }


def markdown(document: Mapping[str, Any]) -> str:
    """The result for people: `overhead_of` with the settings of the trainings."""
    found, planned = document["overhead"], document["overhead"]["planned"]
    lines = [
        f"Training `{document['bundle']}` on {document['cases']} pictures, {document['epochs']} epochs, "
        f"{document['repeats']} times each, in turns; {document['machine']['processor']}, "
        f"{document['machine']['cores']} cores.",
        "",
        "| | without record, s (range) | with record, s (range) | ratio of medians | of pairs: median (range) |",
        "|---|---|---|---|---|",
    ]
    for name, title in MEASURES.items():
        row = found["measured"][name]
        shown = [
            f"{row[arm]['median']:.2f} ({row[arm]['min']:.2f}–{row[arm]['max']:.2f})" for arm in ("without", "with")
        ]
        pairs = row["ratio_of_pairs"]
        ratios = f"{pairs['median']:.4f} ({pairs['min']:.4f}–{pairs['max']:.4f})"
        lines.append(f"| {title} | {shown[0]} | {shown[1]} | {row['ratio']:.4f} | {ratios} |")
    lines += [
        "",
        f"Beginning the record adds {found['ends']['before_s']:.2f} s, ending it {found['ends']['after_s']:.2f} s.",
        f"In the {planned['epochs']} epochs that the bundle plans, by the medians: {planned['without_s']:.0f} s "
        f"without and {planned['with_s']:.0f} s with the record, {100 * (planned['ratio'] - 1):+.2f} %.",
    ]
    return "\n".join(lines) + "\n"


def _planned(group: Sequence[Times], epochs: int, planned_epochs: int) -> float:
    ends = median(one["before_s"] + one["after_s"] for one in group)
    return ends + _median(group, "loop_s") / epochs * planned_epochs


def _median(group: Sequence[Times], name: str) -> float:
    return float(median(one[name] for one in group))


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}
