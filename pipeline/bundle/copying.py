"""A copy of a bundle that describes what it is going to be trained on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from pipeline.bundle.beginning import forget_start_file
from pipeline.bundle.editing import edit_config, rewrite_config
from pipeline.bundle.find import SUFFIXES, Bundle
from pipeline.bundle.other_classes import renumber_classes
from pipeline.bundle.overrides import OF_THE_MACHINE, shared_out, split_key
from pipeline.bundle.recipe import Recipe, apply_recipe, describe_input
from pipeline.errors import InvalidBundle, OutputExists
from pipeline.labels import class_key

__all__ = ["apply_settings", "copy_bundle"]

# They tell of the past, or are no config of a workflow.
RECORDS = ("metadata", "tracking", "plan", "fingerprint", "recipe")


def copy_bundle(
    bundle: Bundle,
    out: Path,
    labels: Mapping[int, str],
    settings: Mapping[str, Any] | None = None,
    trained_on: str | None = None,
    recipe: Recipe | None = None,
) -> Bundle:
    """A copy of a bundle without weights, data and results, for a training of its own.

    The copy describes what it will be: its configs carry the class names and the settings, each config those whose key
    it has, so that training, evaluation and inference agree on them; what they say of a class by its number is of the
    new number; its metadata and documents no longer speak of the data and scores of the original. It appears under its
    name when it is whole.

    Args:
        bundle: The original, which stays as it is.
        out: Folder of the copy.
        labels: Class index → name.
        settings: Overrides by MONAI's nested keys, such as {"image_size": [128, 128], "network_def#norm": "BATCH"}.
        trained_on: What the weights to come are trained on, for the metadata.
        recipe: Written into the configs before the settings, which win.

    Raises:
        OutputExists: if `out` is there and not empty.
        InvalidBundle: if a config cannot be edited.
    """
    out = out.resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExists(f"{out} exists. Give another folder with -o, or continue that training with --resume.")
    # A folder that is there already may be the working folder or a mounted disk: it stays, and is filled.
    fill = out.is_dir()
    aside = (out if fill else out.parent) / f".part-{out.name}"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        shutil.copytree(bundle.root, aside, ignore=lambda folder, names: _left_out(bundle.root, folder, names))
        (aside / "models").mkdir()
        copied = Bundle(aside, bundle.name)
        forget_start_file(copied)
        if recipe is not None:
            apply_recipe(copied, recipe)
        changes: dict[str, Any] = dict(settings or {})
        if dict(labels) != bundle.labels("train"):
            changes["labels"] = dict(labels)
            renumber_classes(aside, bundle.labels("train"), labels)
            _rename_rules(aside / "configs" / "quality.yaml", list(labels.values()))
        apply_settings(copied, changes)
        if recipe is not None:
            describe_input(copied)
        _describe(aside, labels, trained_on)
        if fill:
            # `configs` last: it makes the folder a bundle.
            for part in sorted(aside.iterdir(), key=lambda path: path.name == "configs"):
                part.replace(out / part.name)
        else:
            aside.replace(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Bundle(out, out.name)


def apply_settings(bundle: Bundle, settings: Mapping[str, Any]) -> None:
    """Write settings into each config of a bundle that has the key, so that its configs agree.

    Those of the machine are left out: a bundle that was trained on `cuda:1` or on a CPU is to run on any machine.

    Raises: InvalidBundle: if a config cannot be edited.
    """
    lasting = {key: value for key, value in settings.items() if split_key(key)[0] not in OF_THE_MACHINE}
    for config in sorted((bundle.root / "configs").iterdir()):
        if config.suffix in SUFFIXES and config.stem not in RECORDS:
            edit_config(config, {key: shared_out(config, key, value) for key, value in lasting.items()})


def _rename_rules(quality: Path, names: Sequence[str]) -> None:
    """Let the rules of plausibility speak of the classes as the data write them (Lung, lung), and of no other."""
    written = {class_key(name): name for name in names}

    def change(content: Any) -> bool:
        classes = content.get("classes") if isinstance(content, dict) else None
        if not isinstance(classes, CommentedMap):
            return False
        for name, rules in list(classes.items()):
            if class_key(str(name)) not in written:
                classes.pop(name)
                continue
            if isinstance(rules, dict) and "inside" in rules:
                rules["inside"] = written.get(class_key(str(rules["inside"])))
                if rules["inside"] is None:
                    del rules["inside"]
            if (other := written.get(class_key(str(name)), name)) != name:
                place = list(classes).index(name)
                classes.pop(name)
                classes.insert(place, other, rules)
        return True

    if quality.is_file():
        rewrite_config(quality, change)


def _left_out(root: Path, folder: str, names: list[str]) -> set[str]:
    """What a copy does not take along: at the top the products of other runs, and hidden files everywhere."""
    products = {"models", "eval", "data", "runs", "mlruns"} if Path(folder) == root else set()
    return {name for name in names if name.startswith(".") or name == "__pycache__" or name in products}


def _same_names(one: Any, other: Mapping[str, str]) -> bool:
    """Whether two lists of classes by number are the same but for their spelling."""
    return isinstance(one, Mapping) and [class_key(str(name)) for name in one.values()] == [
        class_key(name) for name in other.values()
    ]


def _describe(root: Path, labels: Mapping[int, str], trained_on: str | None) -> None:
    """Let `metadata.json` and `docs` speak of the copy."""
    metadata = root / "configs" / "metadata.json"
    if metadata.is_file():
        content = json.loads(metadata.read_text(encoding="utf-8"))
        try:
            output = content["network_data_format"]["outputs"]["pred"]
        except (KeyError, TypeError) as error:
            raise InvalidBundle(
                f"{metadata.name}: does not describe the output `pred`; expected network_data_format.outputs.pred, "
                "as in MONAI's bundle specification. Add it to the bundle."
            ) from error
        channels = {str(index): name for index, name in labels.items()}
        former = output.get("channel_def")
        if former != channels:
            if not _same_names(former, channels):
                # What it was called speaks of other classes.
                content["name"] = content["task"] = f"Segmentation of {', '.join(list(labels.values())[1:])}"
            output |= {"channel_def": channels, "num_channels": len(labels)}
            named = ", ".join(f"{index} {name}" for index, name in labels.items())
            content["label_classes"] = f"single channel, {named}"
            content["pred_classes"] = f"{len(labels)} channels, {named}"
        if trained_on is not None:
            content |= {
                "version": "0.1.0",
                "changelog": {"0.1.0": f"Trained on {trained_on}"},
                "data_source": trained_on,
            }
            content["description"] = f"Segmentation of {', '.join(list(labels.values())[1:])}, trained on {trained_on}."
            # Scores are the original's, and so are the runs that they are of.
            for key in ("references", "eval_metrics"):
                content.pop(key, None)
            if isinstance(content.get("planar"), dict):
                # Of the original's networks, which are not trained on.
                for key in ("record", "cross_validated_on_sha256"):
                    content["planar"].pop(key, None)
        metadata.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if trained_on is not None:
        shutil.rmtree(root / "docs", ignore_errors=True)
        (root / "docs").mkdir()
        card = f"# {', '.join(list(labels.values())[1:])}\n\nTrained on {trained_on}. Not evaluated yet.\n"
        (root / "docs" / "README.md").write_text(card, encoding="utf-8")
