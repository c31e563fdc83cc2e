"""The model card: what a network was trained on, what it scores and what that does not show, from its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.report.card_facts import CardFacts, ScoredRun
from pipeline.report.markdown import render_markdown
from pipeline.report.measures import MEASURES
from pipeline.report.page import number

if TYPE_CHECKING:
    from pipeline.gate import Gate

__all__ = ["BY_HAND", "WRITTEN", "model_card"]

# What follows this line is a person's, and stays when the card is written again.
BY_HAND = "<!-- by hand: what follows is kept when the card is written again -->"
# By which a card is known that was written from a record, and may be written again.
WRITTEN = "<!-- written from the record by planar card -->"

# Of the many parameters, those that say how it was trained.
SHOWN = ("max_epochs", "batch_size", "learning_rate", "patience", "image_size", "seed", "device")
# Of fewer pictures a share or a mean error says little.
FEW_PICTURES = 20
COLUMNS = ("dice", "iou", "precision", "recall", "hd95", "asd", "nsd")


def model_card(facts: CardFacts, *, name: str | None = None, by_hand: str = "", gate: Gate | None = None) -> str:
    """The card as Markdown.

    Args:
        facts: What is known.
        name: Of the bundle, for how it is used; None where there is none.
        by_hand: What a person has written, which is kept at the end.
        gate: Of the bundle.
    """
    best = facts.best
    return render_markdown(
        "model_card.md.j2",
        written=WRITTEN,
        by_hand_line=BY_HAND,
        by_hand=by_hand.strip(),
        facts=facts,
        name=name,
        named=", ".join(f"{index} {label}" for index, label in enumerate(facts.classes)),
        description=str(facts.metadata.get("description") or ""),
        intended_use=str(facts.metadata.get("intended_use") or "Research. Not a medical device; not for diagnosis."),
        split=_split(facts),
        params=[(key.replace("_", " "), facts.params[key]) for key in SHOWN if key in facts.params],
        best=best,
        versions=", ".join(
            f"{package} {version}" for package, version in facts.environment.get("versions", {}).items()
        ),
        machine=_machine(facts.environment.get("machine", {})),
        code=_code(facts),
        tables=[_table(scored) for scored in facts.evaluations],
        limits=facts.limits,
        gate=_gate(gate) if gate is not None else None,
        refused=", ".join(f"{count} {code.replace('_', ' ')}" for code, count in facts.findings[0].most_common()),
    )


def _gate(gate: Gate) -> dict[str, Any]:
    """What a gate aims at, what it has learnt from, and how well it did, on other masks where there were any."""
    parts = {key: gate.record.get(key) for key in ("fitted_on", "aim", "held_out", "in_sample")}
    told: dict[str, Any] = {
        key: said for part in parts.values() if isinstance(part, Mapping) for key, said in part.items()
    }
    return {
        "dice_limit": gate.dice_limit,
        "distance_limit": gate.distance_limit,
        "held_out": gate.record.get("held_out") is not None,
        "few": told.get("images", FEW_PICTURES) < FEW_PICTURES,
        "told": told,
    }


def _split(facts: CardFacts) -> str:
    said = facts.split
    told = []
    if "seed" in said:
        told.append(f"seed {said['seed']}")
    if isinstance(said.get("fractions"), (list, dict)):
        shares = said["fractions"]
        told.append("shares " + " / ".join(f"{v:g}" for v in (shares.values() if isinstance(shares, dict) else shares)))
    sides = facts.subjects_on_two_sides
    if sides == 0:
        told.append("no subject is in two parts")
    elif sides:
        told.append(f"**{sides} subjects are in more than one part**")
    return "; ".join(told)


def _machine(machine: dict[str, Any]) -> str:
    gpus = [str(gpu.get("name")) for gpu in machine.get("gpus") or ()]
    if gpus:
        return ", ".join(gpus)
    cores = machine.get("usable_threads") or machine.get("threads")
    return f"{machine['cpu']}, {cores} threads" if machine.get("cpu") else ""


def _code(facts: CardFacts) -> str:
    tags = facts.main.tags
    if "mlflow.source.git.commit" not in tags:
        return f"Planar {tags.get('planar.version', 'of an unknown version')}"
    changed = " with changes that the record holds" if tags.get("planar.git.dirty") == "true" else ""
    return f"Planar {tags.get('planar.version', '')}, commit {tags['mlflow.source.git.commit'][:12]}{changed}"


def _table(scored: ScoredRun) -> dict[str, Any]:
    """The scores of one evaluation."""
    measured = {measure.key: measure for measure in scored.view.measures}
    keys = [key for key in COLUMNS if key in measured]
    rows = []
    for label in scored.rows:
        cells = [_cell(scored, label, key) for key in keys]
        rows.append([label.replace("_", " "), *cells])
    dice = next(measure for measure in MEASURES if measure.key == "dice")
    worst = [
        [
            label.replace("_", " "),
            *(dice.text(scored.figure(label, "dice", which=which)) for which in ("mean", "median", "p5", "min")),
        ]
        for label in scored.rows
    ]
    return {
        "scored": scored,
        "headings": [measured[key].title(scored.view.unit) for key in keys],
        "rows": rows,
        "worst": worst,
        "subjects": scored.view.n_subjects,
        "images": len(scored.view.images),
        "tolerance": scored.view.record.get("nsd_tolerance", {}).get(scored.view.unit),
        "unit": scored.view.unit,
    }


def _cell(scored: ScoredRun, label: str, key: str) -> str:
    """The mean over subjects with its interval."""
    mean, low, high = (scored.figure(label, key, "per_subject", which) for which in ("mean", "ci_low", "ci_high"))
    text = number(mean)
    return text if low is None or high is None else f"{text} [{number(low)}, {number(high)}]"
