"""What was chosen, read from a bundle's configs without running them, with the reason that stands beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.bundle import Bundle
from pipeline.report.privacy import without_folders

__all__ = ["Setting", "settings_of"]

# Where files are and how fast a machine is are no choices, and a path is nobody's business.
LEFT_OUT = {
    "bundle_root", "dataset_dir", "datalist", "ckpt_dir", "ckpt_path", "output_dir", "device", "num_workers",
    "cache_rate", "resume", "split", "network", "labels", "averaged", "checkpoints", "history",
    "preprocessing", "image_preprocessing", "postprocessing", "dataset", "dataloader", "handlers",
    "evaluator", "key_metric", "additional_metrics", "train", "validate", "imports", "initialize", "run", "finalize",
    "early_stop", "overwrite", "save_masks",
}  # fmt: skip
LONGEST_VALUE = 160


@dataclass(frozen=True)
class Setting:
    """One choice.

    Attributes:
        name: Its key, or what the transform is.
        value: As the config has it.
        why: The comment beside it; empty if there is none.
    """

    name: str
    value: str
    why: str = ""


def settings_of(bundle: Bundle) -> dict[str, list[Setting]]:
    """The choices of a bundle by group; a group that has none is left out.

    A bundle that was planned has its choices in `configs/plan.json`; they come first.
    """
    groups: dict[str, list[Setting]] = {"Plan": _planned(bundle.root / "configs" / "plan.json")}
    groups |= {"Training": [], "Preparing the image": [], "Augmentation": [], "Prediction": []}
    for kind, group in (("train", "Training"), ("evaluate", "Prediction")):
        if not any((bundle.root / "configs").glob(f"{kind}.*")):
            continue
        path = bundle.config(kind)
        content = _content(path)
        why = _comments(path.read_text(encoding="utf-8"))
        known = {(setting.name, setting.value) for setting in groups["Training"]}
        for key, value in content.items():
            if key in LEFT_OUT or (isinstance(value, str) and value.startswith("$import")):
                continue
            name, text = key.replace("_def", "").replace("_", " "), _value(value)
            if text and (name, text) not in known:
                groups[group].append(Setting(name, text, why.get(key, "")))
        if kind == "train":
            steps = content.get("train", {})
            groups["Preparing the image"] = _steps(steps.get("deterministic_transforms"), path)
            groups["Augmentation"] = _steps(steps.get("random_transforms"), path)
    return {name: settings for name, settings in groups.items() if settings}


def _planned(path: Path) -> list[Setting]:
    """The choices of a plan with their reasons; none if there is no plan, or one of another making."""
    try:
        choices = json.loads(path.read_text(encoding="utf-8"))["choices"]
        return [
            Setting(_words(str(choice["choice"])), str(choice["value"]) or "yes", without_folders(str(choice["why"])))
            for choice in choices
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _content(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    return content if isinstance(content, dict) else {}


def _value(value: Any) -> str:
    """A value on one line: a component as its name with its parameters."""
    if isinstance(value, Mapping) and "_target_" in value:
        rest = {key: part for key, part in value.items() if not key.startswith("_") and not _refers(part)}
        name = str(value["_target_"]).rsplit(".", 1)[-1]
        text = f"{name}({', '.join(f'{key}={_value(part)}' for key, part in rest.items())})" if rest else name
    elif isinstance(value, Mapping):
        text = ", ".join(f"{key}: {_value(part)}" for key, part in value.items())
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join("[]" if part == [] else _value(part) for part in value) + "]" if value else "none"
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    elif value is None:
        text = "none"
    elif _refers(value):
        text = ""
    else:
        text = without_folders(str(value))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _refers(value: Any) -> bool:
    """Whether a value is a reference, or an expression with one, which says nothing outside the config."""
    return isinstance(value, str) and ("@" in value or value.startswith("$"))


def _steps(transforms: Any, path: Path) -> list[Setting]:
    """A list of transforms, each with the comment above its line; loading and housekeeping are left out."""
    if not isinstance(transforms, list):
        return []
    housekeeping = ("Load", "Ensure", "SelectItems", "Decode", "AsChannels")
    lines = path.read_text(encoding="utf-8").splitlines()
    settings, seen = [], 0
    for step in transforms:
        if not isinstance(step, Mapping) or "_target_" not in step:
            continue
        target = str(step["_target_"])
        name = target.rsplit(".", 1)[-1]
        # The lines stand in the order of the list, so that the search goes on from the former one.
        at = next(
            (k for k in range(seen, len(lines)) if re.search(rf"_target_: {re.escape(target)}\b", lines[k])), None
        )
        why = _above(lines, at) if at is not None else ""
        seen = at + 1 if at is not None else seen
        if name.startswith(housekeeping):
            continue
        plain = ("_target_", "keys", "mask_key", "padding_mode")
        rest = {key: value for key, value in step.items() if key not in plain and not _refers(value)}
        text = ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in rest.items())
        settings.append(Setting(_words(name), text, without_folders(why)))
    return settings


def _comments(text: str) -> dict[str, str]:
    """Top-level key → the comment above it and behind it."""
    lines = text.splitlines()
    found = {}
    for number, line in enumerate(lines):
        match = re.match(r"([A-Za-z_]\w*):(.*)$", line)
        if match is None:
            continue
        behind = re.search(r"\s#\s+(.+)$", match[2])
        parts = [_above(lines, number), behind[1].strip() if behind else ""]
        found[match[1]] = without_folders(" ".join(part for part in parts if part))
    return found


def _above(lines: list[str], number: int) -> str:
    """The comment that ends on the line above."""
    first = number
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    words = " ".join(line.lstrip().lstrip("#").strip() for line in lines[first:number])
    # The head of a config tells how to run it: no reason for anything.
    return "" if "monai.bundle" in words else words


def _words(name: str) -> str:
    """A transform's name without the d of dictionary transforms."""
    return name[:-1] if name.endswith("d") and not name.endswith(("Pad", "Hd")) else name
