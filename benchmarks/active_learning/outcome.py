"""What came out of the rounds: means over seeds, as a table and as a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from pipeline.report.chart import Axis, Chart, colour

__all__ = ["ALL", "chart", "markdown", "summary"]

SCORES = {"test": "the same hospital", "external": "other hospitals"}
ALL = "all"
# A chart that stands alone brings the colours along that pages give it.
STANDALONE = (
    'xmlns="http://www.w3.org/2000/svg" style="--font:system-ui,sans-serif;--soft:#59616d;--rule:#d9dde2;'
    'color:#1a1d21;background:#fff" '
)


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean, least and greatest of each score over the seeds, by strategy and number of labels."""
    found = []
    for strategy, labels in dict.fromkeys((row["strategy"], row["labels"]) for row in rows):
        own = [row for row in rows if (row["strategy"], row["labels"]) == (strategy, labels)]
        scores = {
            name: {"mean": fmean(values), "min": min(values), "max": max(values)}
            for name in SCORES
            if (values := [row[name] for row in own if name in row])
        }
        found.append({"strategy": strategy, "labels": labels, "seeds": len(own), **scores})
    return found


def markdown(document: Mapping[str, Any]) -> str:
    """A table of each score, with the settings of the trainings."""
    found, cases = document["summary"], document["cases"]
    sizes = sorted({row["labels"] for row in found if row["strategy"] != ALL})
    lines = [
        "# What the choice of the next film is worth",
        "",
        f"`python -m benchmarks.active_learning`: {cases['pool']} films of {document['data']} to choose from, "
        f"{document['seeds']} seeds; each training from random weights sees {document['pictures']} pictures of "
        f"{document['image_size']} pixels, split by the app (a fifth of the subjects for validation). "
        f"{document['machine']['processor']}, "
        f"{document['machine']['cores']} cores, {document['seconds'] / 60:.0f} min in all. Dice: mean over the films, "
        "then over the seeds (least to greatest seed).",
    ]
    for score, title in SCORES.items():
        if score not in cases:
            continue
        name = document["data"] if score == "test" else document["external"]
        lines += ["", f"Dice on {cases[score]} films of {title} ({name}):", ""]
        lines += ["| labels | " + " | ".join(map(str, sizes)) + " |", "|---" * (len(sizes) + 1) + "|"]
        for strategy in dict.fromkeys(row["strategy"] for row in found):
            own = {row["labels"]: row[score] for row in found if row["strategy"] == strategy}
            if strategy == ALL:
                lines += ["", *(f"All {labels} films with labels: {_cell(value)}." for labels, value in own.items())]
            else:
                lines.append(f"| {strategy} | " + " | ".join(_cell(own.get(size)) for size in sizes) + " |")
    return "\n".join(lines) + "\n"


def chart(document: Mapping[str, Any]) -> str:
    """Dice against number of labels, a line a strategy, its seeds as a band; other hospitals dashed."""
    rows = [row for row in document["summary"] if row["strategy"] != ALL]
    scores = [name for name in SCORES if name in document["cases"]]
    sizes = sorted({row["labels"] for row in rows})
    low = min(row[name]["min"] for row in rows for name in scores)
    high = max(row[name]["max"] for row in document["summary"] for name in scores)
    drawn = Chart(
        Axis("films with labels", sizes[0] / 1.1, sizes[-1] * 1.1, sizes, log=True),
        Axis.around("Dice", [low, high]),
        height=330.0,
        width=560.0,
    )
    for number, strategy in enumerate(dict.fromkeys(row["strategy"] for row in rows)):
        own = [row for row in rows if row["strategy"] == strategy]
        for name in scores:
            dash = name != scores[0]
            if not dash:
                drawn.band([(row["labels"], row[name]["min"], row[name]["max"]) for row in own], colour(number))
            shown = strategy + (", other hospitals" if dash else "")
            drawn.line([(row["labels"], row[name]["mean"]) for row in own], colour(number), name=shown, dash=dash)
    for name in scores:
        for row in document["summary"]:
            if row["strategy"] == ALL:
                hospital = f" ({SCORES[name]})" if len(scores) > 1 else ""
                drawn.rule(y=row[name]["mean"], name=f"all {row['labels']}{hospital}")
    svg = str(drawn.svg("Dice against number of labels"))
    return svg.replace("<svg ", f"<svg {STANDALONE}", 1) + "\n"


def _cell(value: Mapping[str, float] | None) -> str:
    return "–" if value is None else f"{value['mean']:.3f} ({value['min']:.3f}–{value['max']:.3f})"
