"""Recipes: files of overrides that train a bundle with a published project's settings.

A recipe is a second config file to MONAI: `--config_file "['train.yaml', 'recipe.yaml']"` trains with it. Its keys are
MONAI's (`train#dataset#data` goes into nested sections, a leading `+` extends a list or a mapping). A bundle's evaluate
and inference configs follow it here, in a trained copy, so that evaluation and inference need no recipe.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from pipeline.atomic import write_text_aside
from pipeline.bundle.editing import flow, place, rewrite_config
from pipeline.bundle.find import SUFFIXES, Bundle, shipped_folder
from pipeline.bundle.overrides import shared_out, split_key
from pipeline.errors import InvalidOption, MissingFile

__all__ = ["Recipe", "apply_recipe", "describe_input", "find_recipe", "shipped_recipes"]

CONFIGS = ("train", "multi_gpu_train", "evaluate", "inference")
# What is done to a picture has this name in evaluate.yaml, where masks are loaded as well, and the other in
# inference.yaml.
PICTURE, PICTURE_ALONE = "image_preprocessing", "preprocessing"
REFERENCE = re.compile(r"@(\w+)")
COPY = "recipe.yaml"
PLAN = "plan.json"


@dataclass(frozen=True)
class Recipe:
    """Overrides of a bundle's configs.

    Attributes:
        name: Of the file, without suffix.
        path: The file.
        overrides: Value by MONAI's key, in the file's order.
    """

    name: str
    path: Path
    overrides: Mapping[str, Any]

    @property
    def keys(self) -> frozenset[str]:
        """The first part of each key."""
        return frozenset(_top(key) for key in self.overrides)

    def of(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """The overrides for one config: the keys that it has, and what these refer to.

        Args:
            content: The config.
        """
        renamed = PICTURE not in content and PICTURE_ALONE in content
        own = {PICTURE_ALONE if renamed and key == PICTURE else key: value for key, value in self.overrides.items()}
        taken = {key for key in own if _top(key) in content}
        while True:
            referred = set(REFERENCE.findall(json.dumps([own[key] for key in taken])))
            more = {key for key in own if _top(key) in referred} - taken
            if not more:
                return {key: value for key, value in own.items() if key in taken}
            taken |= more


def shipped_recipes() -> dict[str, Path]:
    """The recipes that came with the installation, by name."""
    configs = shipped_folder("configs")
    return {path.stem: path for path in sorted((configs / "recipes").glob("*.yaml"))} if configs is not None else {}


def find_recipe(name_or_path: str) -> Recipe:
    """The recipe of that path, or of that name among the shipped ones.

    Raises:
        MissingFile: if there is none, with the names that there are.
        InvalidOption: if the file is no recipe.
    """
    path = Path(name_or_path)
    if not path.is_file():
        shipped = shipped_recipes()
        if name_or_path not in shipped:
            raise MissingFile(
                f"There is no recipe '{name_or_path}': neither a file nor one of {', '.join(shipped) or 'none'}. Give "
                "a name or the path of a YAML file."
            )
        path = shipped[name_or_path]
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidOption(
            f"{path}: cannot be read as YAML: {str(error).splitlines()[0]}. Mend the recipe."
        ) from error
    if path.suffix.lower() not in SUFFIXES or not isinstance(content, dict) or not content:
        raise InvalidOption(f"{path} is no recipe; expected a YAML file of overrides, such as 'max_epochs: 30'.")
    return Recipe(path.stem, path, {str(key): value for key, value in content.items()})


def apply_recipe(bundle: Bundle, recipe: Recipe) -> None:
    """Write a recipe into each config of a bundle, and beside them as `configs/recipe.yaml`.

    Args:
        bundle: A copy that may be changed.
        recipe: What is written.

    Raises:
        InvalidBundle: if a key of the recipe leads nowhere in a config.
        InvalidOption: if the recipe adds to what cannot be added to.
    """

    def change(path: Path, content: Any) -> bool:
        own = recipe.of(content) if isinstance(content, dict) else {}
        for key, value in own.items():
            _merge(content, key, shared_out(path, key, value), f"{recipe.path.name}: {key}")
        return bool(own)

    for kind in CONFIGS:
        for path in ((bundle.root / "configs" / f"{kind}{suffix}") for suffix in SUFFIXES):
            if path.is_file():
                rewrite_config(path, partial(change, path))
                _say_so(path, recipe)
    shutil.copyfile(recipe.path, bundle.root / "configs" / COPY)
    (bundle.root / "configs" / PLAN).unlink(missing_ok=True)  # its choices are no longer those of the configs


def describe_input(bundle: Bundle) -> None:
    """Let `metadata.json` name the channels and the size that the recipe's network takes."""
    content = yaml.safe_load(bundle.config("train").read_text(encoding="utf-8"))
    channels, size = content.get("in_channels"), content.get("image_size")
    if not bundle.metadata.is_file():
        return
    metadata = json.loads(bundle.metadata.read_text(encoding="utf-8"))
    formats = metadata["network_data_format"]
    picture = formats["inputs"]["image"]
    if isinstance(channels, int) and channels != picture.get("num_channels"):
        names = {"0": "image"} if channels == 1 else {str(number): f"channel {number}" for number in range(channels)}
        picture |= {"num_channels": channels, "channel_def": names, "format": "magnitude" if channels == 1 else "rgb"}
        metadata["image_classes"] = "one channel" if channels == 1 else f"{channels} channels"
    for described in (picture, formats["outputs"]["pred"]):
        if isinstance(size, list) and all(isinstance(side, int) for side in size):
            described |= {"spatial_shape": size, "is_patch_data": False}
    bundle.metadata.write_text(json.dumps(metadata, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _top(key: str) -> str:
    return split_key(key.removeprefix("+"))[0]


def _merge(content: Any, key: str, value: Any, where: str) -> None:
    """As MONAI merges a further config file."""
    path = split_key(key.removeprefix("+"))
    if not key.startswith("+"):
        place(content, path, _blocks(value), where)
        return
    there = _at(content, path)
    if isinstance(there, dict) and isinstance(value, dict):
        for name, part in value.items():
            there[name] = _blocks(part)
    elif isinstance(there, list) and isinstance(value, list):
        there.extend(_blocks(part) for part in value)
    else:
        raise InvalidOption(
            f"{where} adds a {type(value).__name__} to what is none in this bundle; expected a list or a mapping in "
            "both. Correct the recipe."
        )


def _at(content: Any, path: list[str]) -> Any:
    for step in path:
        content = content.get(step) if isinstance(content, dict) else None
    return content


def _blocks(value: Any) -> Any:
    """Mappings and lists over several lines, their inner parts on one: as the planned configs have it."""
    if isinstance(value, dict):
        return CommentedMap(
            (name, _blocks(part) if isinstance(part, dict) else flow(part)) for name, part in value.items()
        )
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        return CommentedSeq(flow(part) for part in value)
    return flow(value)


def _say_so(config: Path, recipe: Recipe) -> None:
    if config.suffix == ".json":
        return
    said = (
        f"# Changed by the recipe {recipe.name} ({COPY} beside this file); comments that stayed are the\n"
        "# plan's, also where the recipe chose otherwise.\n"
    )
    write_text_aside(config, said + config.read_text(encoding="utf-8"))
