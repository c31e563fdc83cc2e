"""What came out, as Markdown for people and JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.scoring import COMPARED, difference
from pipeline.atomic import write_text_aside
from pipeline.metrics import MEAN_OF_CLASSES, PAIRED_RULE, Evaluation, distance_unit

__all__ = ["TITLES", "Entry", "entry_name", "markdown", "write_table"]

TITLES = {
    "planar": "Planar",
    "nnunet": "nnU-Net, its own plan",
    "nnunet_fitted": "nnU-Net, plan fitted to the time",
}
OURS = "planar"
SETTINGS = re.compile(r"^(\w+=\S* )+")
SHOWN_RULES = ("empty_masks", "intervals", "paired")


@dataclass(frozen=True)
class Entry:
    """One row: a trained peer, predicting with or without test-time augmentation.

    Attributes:
        peer: Whose weights: "planar", "nnunet", "nnunet_fitted".
        training: Its record: seconds, steps, parameters and what else it says.
        predict_seconds: Of the whole prediction command, s.
        scores: Of its masks.
        tta: Whether it averages over flips, as it does by default.
    """

    peer: str
    training: Mapping[str, Any]
    predict_seconds: float
    scores: Evaluation
    tta: bool = True

    @property
    def name(self) -> str:
        """Such as "planar" or "nnunet_no_tta"."""
        return entry_name(self.peer, self.tta)

    @property
    def title(self) -> str:
        """For people."""
        return TITLES.get(self.peer, self.peer) + ("" if self.tta else ", without TTA")


def entry_name(peer: str, tta: bool) -> str:
    """What a row, and the folders of its masks and scores, are called."""
    return peer if tta else f"{peer}_no_tta"


def write_table(entries: Sequence[Entry], facts: Mapping[str, Any], out: Path) -> Path:
    """Write `table.json` and `table.md`.

    Args:
        entries: Scored.
        facts: Set, budget, machine, versions, preparation.
        out: Their folder.
    Returns: The Markdown file.
    """
    document = {"format": "planar-benchmark/1", **facts, **_results(entries, facts["classes"])}
    write_text_aside(out / "table.json", json.dumps(document, indent=2, allow_nan=False) + "\n")
    path = out / "table.md"
    write_text_aside(path, markdown(document))
    return path


def _results(entries: Sequence[Entry], classes: Sequence[str]) -> dict[str, Any]:
    rows = [
        {
            "name": entry.name,
            "title": entry.title,
            "training": dict(entry.training),
            "predict_seconds": entry.predict_seconds,
            "predict_seconds_a_case": entry.predict_seconds / entry.scores.record["n_cases"],
            "summary": entry.scores.record["summary"],
        }
        for entry in entries
    ]
    differences = [
        {"first": ours.name, "second": theirs.name, **difference(ours.scores, theirs.scores, label, metric)}
        for ours, theirs in _pairs(entries)
        for label in classes
        for metric in COMPARED
    ]
    return {
        "rows": rows,
        "differences": differences,
        "distance_unit": distance_unit(entries[0].scores.cases)[0],
        "rules": {**entries[0].scores.record["rules"], "paired": f"Differences: B is Planar. {PAIRED_RULE}"},
    }


def _pairs(entries: Sequence[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Planar and each other peer, both with test-time augmentation or both without."""
    for ours in entries:
        for theirs in entries:
            if ours.peer == OURS != theirs.peer and ours.tta == theirs.tta:
                yield ours, theirs


def markdown(document: Mapping[str, Any]) -> str:
    """The table as a page of its own."""
    cases, machine = document["cases"], document["machine"]
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    told = [
        f"# {document['data']}: Planar and nnU-Net, {document['minutes']:g} minutes each",
        "",
        f"{cases['training']} training, {cases['validation']} validation and {cases['test']} test cases, the same for "
        f"both. Wall clock of each training, imports and caching included, validation too where a tool validates: "
        f"{document['minutes']:g} min, one after the other ({_title(document['first'])} first). Machine: "
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB{gpu}; "
        f"{_versions(document['versions'])}.",
        "",
        *_scores(document),
        *_paired(document),
        *_effort(document),
        *_preparation(document),
        "## Rules",
        "",
        *(f"- {document['rules'][name]}" for name in SHOWN_RULES if name in document["rules"]),
        "",
        "## Commands",
        "",
        *_commands(document),
        "",
    ]
    return "\n".join(told)


def _scores(document: Mapping[str, Any]) -> list[str]:
    unit = document["distance_unit"]
    lines = []
    classes = [*document["classes"]] + ([MEAN_OF_CLASSES] if len(document["classes"]) > 1 else [])
    for label in classes:
        lines += [
            f"## Scores: {label.replace('_', ' ')}",
            "",
            f"| | Dice (95 % interval) | median | p5 | worst | HD95, {unit} (95 % interval) | median | worst |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for row in document["rows"]:
            dice, far = (row["summary"][label]["per_subject"][metric] for metric in COMPARED)
            lines.append(
                f"| {row['title']} | {_interval(dice, 4)} | {_number(dice['median'], 4)} | {_number(dice['p5'], 4)} "
                f"| {_number(dice['min'], 4)} | {_interval(far, 2)} | {_number(far['median'], 2)} "
                f"| {_number(far['max'], 2)} |"
            )
        lines += ["", "Means over subjects; intervals are bootstrap intervals over subjects.", ""]
    return lines


def _paired(document: Mapping[str, Any]) -> list[str]:
    titles = {row["name"]: row["title"] for row in document["rows"]}
    lines = [
        "## Paired differences: Planar minus the other, subject by subject",
        "",
        "| | class | metric | difference (95 % interval) | subjects | Planar better in |",
        "|---|---|---|---|---|---|",
    ]
    for pair in document["differences"]:
        digits = 4 if pair["metric"] == "dice" else 2
        lines.append(
            f"| {titles[pair['first']]} − {titles[pair['second']]} | {pair['label']} | {pair['metric']} "
            f"| {_interval(pair, digits)} | {pair['n']} | {pair['wins']} |"
        )
    return [*lines, ""]


def _effort(document: Mapping[str, Any]) -> list[str]:
    lines = [
        "## What the time was spent on",
        "",
        "| | training, s | steps | batch | pictures seen | parameters, M | prediction, s a test case (whole command) |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        training = row["training"]
        batch = training.get("batch_size")
        seen = f"{training['steps'] * batch}" if batch else "–"
        lines.append(
            f"| {row['title']} | {training['seconds']:.0f} | {training['steps']} | {batch or '–'} | {seen} "
            f"| {training['parameters'] / 1e6:.2f} | {row['predict_seconds_a_case']:.2f} |"
        )
    return [*lines, ""]


def _preparation(document: Mapping[str, Any]) -> list[str]:
    made = document["preparation"]
    own, fit, plan, measured = (made[k] for k in ("nnunet", "nnunet_fit", "planar_plan", "planar_measure"))
    first = min(document["stages"].values(), key=lambda record: record["began"])
    planned = f"planned in {plan['seconds']:.0f} s" if "seconds" in plan else "which was given"
    return [
        "## Before the clock",
        "",
        f"- nnU-Net: planned and preprocessed in {own['seconds']:.0f} s (patch "
        f"{'×'.join(map(str, own['plan']['patch_size']))}, batch {own['plan']['batch_size']}, "
        f"{', '.join(dict.fromkeys(own['plan']['normalisation']))}).",
        f"- nnU-Net, fitted: {fit['why']}. Measuring, planning and preprocessing took {fit['seconds']:.0f} s, "
        f"{fit['seconds_preprocessing']:.0f} s of it the preprocessing.",
        f"- Planar: the bundle {document['bundle']}, {planned}; an epoch takes {measured['seconds_an_epoch']:.1f} s, "
        f"so {measured['epochs']} epochs fit (measured over {measured['measured_epochs']}).",
        "- nnU-Net's trainer: its own, with the polynomial learning rate running over the time instead of over 1000 "
        "epochs, and without its validations, which change nothing of the final weights.",
        f"- Load of the machine before the first stage (1-minute mean): {_number(first['load_before'], 1)}.",
        "",
    ]


def _commands(document: Mapping[str, Any]) -> list[str]:
    # What nnU-Net reads from the environment is the same in all of its commands and stands in the JSON.
    lines = [
        f"{peer}, {name}: {SETTINGS.sub('', command)}"
        for peer, commands in document["commands"].items()
        for name, command in commands.items()
    ]
    return ["```", *lines, "```"]


def _interval(figures: Mapping[str, Any], digits: int) -> str:
    low, high = (_number(figures.get(name), digits) for name in ("ci_low", "ci_high"))
    return f"{_number(figures['mean'], digits)} ({low} to {high})"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def _title(peer: str) -> str:
    return "Planar" if peer == "planar" else "nnU-Net"


def _versions(versions: Mapping[str, Mapping[str, str | None]]) -> str:
    planar, nnunet = versions["planar"], versions["nnunet"]
    return (
        f"planar {planar['planar']} on MONAI {planar['monai']} and torch {planar['torch']}; "
        f"nnU-Net {nnunet['nnunetv2']} on torch {nnunet['torch']}"
    )
