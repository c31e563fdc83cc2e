"""The bundle of what was chosen: networks, flips and refinement, each with the reason beside it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pipeline import __version__
from pipeline.atomic import write_text_aside
from pipeline.bundle import Bundle, copy_bundle, keeps_last
from pipeline.bundle.editing import flow, rewrite_config
from pipeline.datalist import read_datalist
from pipeline.networks import FoldEnsemble
from pipeline.tasks.find_best.deciding import Decision, Refinement
from pipeline.tasks.folds import FoldsRecord
from pipeline.tasks.resuming import cases_digest, data_digest
from pipeline.tensor_files import save_aside

if TYPE_CHECKING:
    from pipeline.tasks.find_best.run import Best

__all__ = ["halved", "model_card", "set_networks", "write_bundle", "write_record"]

KINDS = ("evaluate", "inference")
ENSEMBLE = "pipeline.networks.FoldEnsemble"
WIDTH = 118


def write_bundle(
    record: FoldsRecord,
    folder: Path,
    flips: Sequence[Sequence[int]] | None,
    flip_decision: Decision | None,
    refinement: Refinement | None,
) -> Bundle:
    """A copy of the cross-validation's bundle whose evaluate and inference configs carry what was chosen.

    Args:
        record: The cross-validation.
        folder: Where; must not hold anything.
        flips: Flips at test time; None to leave them as they are.
        flip_decision: Why.
        refinement: What is done to finished masks; None to leave it as it is.
    """
    source = Bundle(record.root / "bundle", record.bundle)
    content = read_datalist(record.root / "datalist.json")
    cases = len(content.training) + len(content.validation)
    trained_on = f"{content.name} ({cases} training cases in {record.folds} folds)"
    bundle = copy_bundle(source, folder, dict(enumerate(content.labels)), trained_on=trained_on)

    def change(config: Any) -> bool:
        if flips is not None and "test_time_flips" in config:
            config["test_time_flips"] = flow([list(flip) for flip in flips])
            _comment(config, "test_time_flips", f"Cross-validation: {flip_decision.line()}." if flip_decision else "")
        if refinement is not None and "refinement" in config:
            unions = [dict(step) for step in config["refinement"] or () if _is_of_a_union(step)]
            config["refinement"] = _steps([*unions, *refinement.steps])
            said = [f"{decision.about}: {decision.line()}." for decision in refinement.decisions]
            said += ["Rules of several classes as one are the task's, and stay."] if unions else []
            _comment(config, "refinement", "\n".join(["Chosen by cross-validation, on masks out of fold:", *said]))
        return True

    for kind in KINDS:
        rewrite_config(bundle.config(kind), change)
    if bundle.metadata.is_file():
        metadata = json.loads(bundle.metadata.read_text(encoding="utf-8"))
        metadata["planar"] = {
            **metadata.get("planar", {}),
            "trained_on_sha256": data_digest(content),
            "cross_validated_on_sha256": cases_digest(content),
        }
        write_text_aside(bundle.metadata, json.dumps(metadata, indent=2, ensure_ascii=False) + "\n")
    return bundle


def set_networks(bundle: Bundle, record: FoldsRecord, members: Sequence[int], *, why: str, half: bool = False) -> None:
    """Put the networks of some folds into a bundle: its weights, and the network of its evaluate and inference configs.

    Args:
        bundle: Of `write_bundle`.
        record: The cross-validation.
        members: The folds; one is a single network, several are an ensemble.
        why: For the comment.
        half: Store the weights in 16 bits.
    """
    weights = [
        torch.load(record.folder(fold) / "models" / "model.pt", map_location="cpu", weights_only=True)
        for fold in members
    ]
    if half:
        weights = [halved(part) for part in weights]
    save_aside(FoldEnsemble.joined(weights) if len(weights) > 1 else weights[0], bundle.weights)

    def change(config: Any) -> bool:
        definition = config["network_def"]
        if definition.get("_target_") == ENSEMBLE:
            definition = definition["network"]
        if len(weights) > 1:
            from ruamel.yaml.comments import CommentedMap

            definition = CommentedMap({"_target_": ENSEMBLE, "members": len(weights), "network": definition})
        config["network_def"] = definition
        _comment(config, "network_def", f"{why[0].upper()}{why[1:]}. models/model.pt holds the weights of all of it.")
        return True

    for kind in KINDS:
        rewrite_config(bundle.config(kind), change)


def write_record(bundle: Bundle, record: Mapping[str, Any], card: str, dice: Mapping[str, float]) -> None:
    """Write `docs/find_best.json`, the model card, and the scores in the metadata."""
    write_text_aside(
        bundle.root / "docs" / "find_best.json",
        json.dumps(
            {"format": "planar-find-best/1", "planar": __version__, **record},
            indent=2,
            ensure_ascii=False,
            allow_nan=False,
        )
        + "\n",
    )
    write_text_aside(bundle.root / "docs" / "README.md", card)
    if bundle.metadata.is_file():
        metadata = json.loads(bundle.metadata.read_text(encoding="utf-8"))
        metadata["eval_metrics"] = {f"cross_validated_dice_{name}": round(value, 4) for name, value in dice.items()}
        write_text_aside(bundle.metadata, json.dumps(metadata, indent=2, ensure_ascii=False) + "\n")


def model_card(record: FoldsRecord, found: Best, dice: Mapping[str, float]) -> str:
    """`docs/README.md`: what was chosen and what the figures mean.

    Args:
        record: The cross-validation.
        found: What was chosen.
        dice: Out of fold, by class.
    """
    last = keeps_last(Bundle(record.root / "bundle", record.bundle))
    chosen = "flips and refinement" if last else "best epoch, flips and refinement"
    lines = [
        f"# {', '.join(dice)}",
        "",
        f"Trained on {record.data} in {record.folds} folds: {found.choice.why}.",
        "",
        "| class | Dice, out of fold |",
        "|---|---|",
        *[f"| {name} | {value:.4f} |" for name, value in dice.items()],
        "",
        f"Means over {found.cases} images of {found.subjects} subjects, each scored at full size by the one network "
        "that was trained without its subject, with the flips and the refinement of this bundle. A class that is "
        f"absent from both masks counts as 1. These are figures of single networks, whose {chosen} "
        "were chosen on the same cases, which makes them a little high; an ensemble is not measured by "
        "them. For that: `planar evaluate` on cases that no fold has seen, such as the test part.",
        "",
    ]
    decisions = [found.flips] if found.flips else []
    decisions += found.refinement.decisions if found.refinement else []
    lines += [f"- {decision.about}: {decision.line()}" for decision in decisions]
    if found.holdout is not None:
        on = found.holdout
        members = ", ".join(f"{value:.4f}" for value in on.members.values())
        lines.append(
            f"- On {on.name} ({on.subjects} subjects, new to all networks): ensemble {on.ensemble:.4f}, members "
            f"{members}; ensemble less the mean of its members {on.difference}"
        )
    return "\n".join([*lines, "", "Rules and all candidates: `find_best.json`.", ""])


def _steps(steps: Sequence[Mapping[str, Any]]) -> Any:
    """One transform a line."""
    if not steps:
        return flow([])
    from ruamel.yaml.comments import CommentedSeq

    return CommentedSeq(flow(dict(step)) for step in steps)


def _is_of_a_union(step: Any) -> bool:
    """Whether a step of refinement takes several classes as one: no rule of single classes can stand for it."""
    if not isinstance(step, Mapping):
        return False
    return len(step.get("applied_labels") or ()) > 1 and not step.get("independent", True)


def _comment(config: Any, key: str, text: str) -> None:
    """A comment above a key of a YAML config; a JSON config takes none."""
    if text and hasattr(config, "yaml_set_comment_before_after_key"):
        lines = [line for part in text.splitlines() for line in textwrap.wrap(part, WIDTH)]
        config.yaml_set_comment_before_after_key(key, before="\n".join(lines))


def halved(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights in 16 bits; a tensor that has two names, as those of MONAI's DynUNet have, stays one in the file."""
    halves: dict[tuple[int, torch.Size], torch.Tensor] = {}
    return {
        name: halves.setdefault((value.data_ptr(), value.shape), value.half()) if value.is_floating_point() else value
        for name, value in weights.items()
    }
