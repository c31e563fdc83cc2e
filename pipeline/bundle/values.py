"""Values that a config's keys can have: a mistyped one is told before anything is loaded."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.bundle.overrides import parse_overrides, split_key
from pipeline.errors import InvalidOption

__all__ = ["checked_overrides", "require_normalised"]

# By the last part of a key: `train#dataloader#batch_size` is one too.
COUNTS = {"max_epochs", "val_interval", "patience", "repeats", "batch_size", "sw_batch_size", "in_channels"}
SIZES = {"image_size"}  # of lists of counts
FROM_ZERO = {"num_workers"}
# With a learning rate of 0 nothing is learnt, which is a way to look at weights.
NOT_NEGATIVE = {"learning_rate", "lr", "weight_decay", "cache_rate"}
AUGMENTATION = "train#random_transforms"


def checked_overrides(
    pairs: tuple[str, ...], config: Path, set_elsewhere: Mapping[str, str] | None = None, also: Iterable[str] = ()
) -> dict[str, Any]:
    """`parse_overrides`, of values that can be: counts, sizes and rates, and lists where the config has a list.

    Expressions (`$…`, `@…`) are taken as they are.

    Raises: InvalidOption: as `parse_overrides`, and for a value that cannot be.
    """
    found = parse_overrides(pairs, config, set_elsewhere, also)
    if found:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
        for key, value in found.items():
            _require_possible(key, value, content.get(key))
        if "validate" not in also:
            require_normalised(found, content)
    return found


def require_normalised(overrides: Mapping[str, Any], content: Any) -> None:
    """Raise InvalidOption if a network would learn from pictures that are not normalised, and then see such that are.

    The z-score ends the list of random transforms: a list without augmentation must still have it, unless it is
    done with in validation too.

    Args:
        overrides: Value by MONAI's nested key.
        content: The train config that they override.
    """
    train = content.get("train") if isinstance(content, dict) else None
    before = train.get("random_transforms") if isinstance(train, dict) else None
    given = {"#".join(split_key(key)): value for key, value in overrides.items()}
    if AUGMENTATION not in given or not isinstance(before, list) or not before:
        return
    last = json.dumps(before[-1])
    elsewhere = any(key.startswith("validate") for key in given)
    if _normalises(last) and not _normalises(json.dumps(given[AUGMENTATION])) and not elsewhere:
        raise InvalidOption(
            f"{AUGMENTATION} without {last} would train on pictures that are not normalised, while validation and "
            f"inference normalise them. To train without augmentation: '{AUGMENTATION}=[{last}]'."
        )


def _normalises(steps: str) -> bool:
    return "normali" in steps.lower()


def _require_possible(key: str, value: Any, before: Any) -> None:
    """Raise InvalidOption if a key cannot have that value, where the config has another."""
    if isinstance(value, str) and value.startswith(("@", "$")):
        return
    name = split_key(key)[-1]
    if name in COUNTS and not _is_count(value):
        raise _impossible(key, value, "a whole number from 1", before)
    if name in FROM_ZERO and not (_is_count(value) or (_is_number(value) and value == 0)):
        raise _impossible(key, value, "a whole number from 0", before)
    if name in NOT_NEGATIVE and not (_is_number(value) and value >= 0):
        raise _impossible(key, value, "a number from 0", before)
    # A list of names or mappings may become longer or shorter; one of numbers has a number for each axis.
    if not isinstance(before, list):
        return
    of_numbers = bool(before) and all(map(_is_number, before))
    if not isinstance(value, list) or (of_numbers and len(value) != len(before)):
        raise _impossible(key, value, f"a list{f' of {len(before)} numbers' if of_numbers else ''}", before)
    if name in SIZES and not all(map(_is_count, value)):
        raise _impossible(key, value, "a list of whole numbers from 1", before)


def _impossible(key: str, value: Any, expected: str, before: Any) -> InvalidOption:
    example = f", such as {before}" if _is_number(before) or isinstance(before, list) else ""
    return InvalidOption(f"'{key}={value}': {key} is {expected}{example}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
