"""Write a bundle's `docs/README.md` and the scores of its metadata from the record of its run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.atomic import write_text_aside
from pipeline.bundle import Bundle, find_bundle
from pipeline.digests import file_sha256
from pipeline.errors import InvalidBundle, OutputExists
from pipeline.fingerprint import Fingerprint
from pipeline.report.card_facts import CardFacts
from pipeline.report.model_card import BY_HAND, WRITTEN, model_card
from pipeline.tasks.audit.opening import open_run
from pipeline.tasks.card.figures import RECORD, figures_of, record_of
from pipeline.tasks.card.gather import gather

if TYPE_CHECKING:
    from pipeline.gate import Gate

__all__ = ["CardResult", "read_metadata", "write_card"]

# As `planar train` leaves the card of a bundle that it has trained.
NOT_YET = "Not evaluated yet.\n"


@dataclass(frozen=True)
class CardResult:
    """A card that was written.

    Attributes:
        card: `docs/README.md`.
        figures: The scores that the metadata now have.
        evaluations: The runs that they are of.
        notes: What the user should know.
    """

    card: Path
    figures: dict[str, float]
    evaluations: tuple[str, ...]
    notes: tuple[str, ...]


def write_card(run: str, into: str, *, store: str | None = None, overwrite: bool = False) -> CardResult:
    """Write the card of a run into a bundle.

    Args:
        run: A training or an evaluation: its id, the beginning of one, or its name; or a pack.
        into: The bundle.
        store: Tracking URI; see `tracking_uri`.
        overwrite: Replace a card that a person has written; it is kept as `README.md.old`.

    Raises:
        TrackingUnreachable, InvalidOption, MissingFile, InvalidPack: if the run cannot be read.
        InvalidBundle: if the bundle's weights are not those of the run, or its metadata cannot be read.
        OutputExists: if there is a card that a person has written.
    """
    bundle = find_bundle(into)
    metadata = read_metadata(bundle)
    card = bundle.root / "docs" / "README.md"
    former = card.read_text(encoding="utf-8") if card.is_file() else ""
    by_hand = former.partition(BY_HAND)[2]
    if former and not _may_go(former) and not overwrite:
        raise OutputExists(
            f"{card}: was not written by this command. Give --overwrite to replace it (it is kept as README.md.old); "
            f"what stands below a line '{BY_HAND}' is always kept."
        )
    with tempfile.TemporaryDirectory(prefix="planar-card-") as folder:
        found = open_run(run, Path(folder), store=store)
        facts = gather(found, Path(folder) / "tables", metadata, _fingerprint(bundle))
        _require_weights(bundle, facts)
        record = record_of(facts)
        figures = _figures(facts, record)
        gate, no_gate = _gate(bundle)
        text = model_card(facts, name=bundle.name, by_hand=by_hand, gate=gate)
    if former and not _may_go(former):
        write_text_aside(card.with_name("README.md.old"), former)
    write_text_aside(card, text)
    metadata["eval_metrics"] = figures
    metadata["planar"] = {**metadata.get("planar", {}), RECORD: record}
    write_text_aside(bundle.metadata, json.dumps(metadata, indent=2, ensure_ascii=False) + "\n")
    notes = [] if figures else ["The weights were not evaluated yet: the card says so. Run planar evaluate first."]
    notes += no_gate
    if facts.training is None:
        notes.append("The training's run is not in this store: the card says nothing of how it was trained.")
    return CardResult(card, figures, tuple(record["evaluations"].values()), tuple(notes))


def read_metadata(bundle: Bundle) -> dict[str, Any]:
    """The content of a bundle's `metadata.json`.

    Raises: InvalidBundle: if it is not there or no JSON object.
    """
    try:
        content = json.loads(bundle.metadata.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidBundle(f"{bundle.metadata}: cannot be read ({error}). Mend the bundle.") from error
    if not isinstance(content, dict) or not isinstance(content.get("planar", {}), dict):
        raise InvalidBundle(f"{bundle.metadata}: is no JSON object as bundles have it. Mend the bundle.")
    return content


def _fingerprint(bundle: Bundle) -> Mapping[str, Any] | None:
    path = bundle.root / "configs" / "fingerprint.json"
    return Fingerprint.from_json(path.read_text(encoding="utf-8"), str(path)).document if path.is_file() else None


def _gate(bundle: Bundle) -> tuple[Gate | None, list[str]]:
    """The bundle's gate, or why the card cannot speak of it."""
    from pipeline.gate import gate_path, read_gate

    if not gate_path(bundle).is_file():
        return None, []
    try:
        return read_gate(bundle), []
    except InvalidBundle as error:
        return None, [f"The card does not speak of the gate. {error}"]


def _figures(facts: CardFacts, record: dict[str, Any]) -> dict[str, float]:
    by_run = {scored.run.run_id: scored for scored in facts.evaluations}
    figures: dict[str, float] = {}
    for suffix, run_id in record["evaluations"].items():
        figures |= figures_of(by_run[run_id], suffix)
    return figures


def _may_go(card: str) -> bool:
    return WRITTEN in card or card.endswith(NOT_YET)


def _require_weights(bundle: Bundle, facts: CardFacts) -> None:
    if not bundle.weights.is_file():
        raise InvalidBundle(f"{bundle.weights} is not there: a card speaks of a bundle's weights. Add them.")
    found = file_sha256(bundle.weights)
    if found != facts.model_sha256:
        said = facts.model_sha256[:12] or "nothing"
        raise InvalidBundle(
            f"{bundle.weights}: is not the checkpoint of the run {facts.main.run_id[:12]} (SHA-256 {found[:12]}, "
            f"recorded is {said}). Give the run of these weights: planar runs --json lists their digests."
        )
