"""What must not be mirrored: a picture in which left and right are classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from pipeline.bundle.find import Bundle
from pipeline.bundle.recipe import Recipe
from pipeline.labels import has_sides

__all__ = ["without_mirroring"]

FLIPS = ("RandFlipd", "RandAxisFlipd")


def without_mirroring(bundle: Bundle, labels: Mapping[int, str], recipe: Recipe | None = None) -> dict[str, Any]:
    """The settings that keep a bundle from mirroring pictures, if a class is a left or a right one.

    A left lung that is flipped looks like a right one and keeps the left one's label: trained so, a network cannot
    learn the sides, and averaged over flips it mixes them.

    Args:
        bundle: Whose train config. What its task spec said of sides counts for its own classes.
        labels: Class index → name, such as {1: "left_lung", 2: "right_lung"}.
        recipe: What the bundle is trained by, which may have random transforms of its own.
    Returns: Settings for `copy_bundle`: the probability 0 for each flip of whatever axis, for one from top to bottom is
        one from left to right that was turned, and no flips at test time. Empty if no class has a side.
    """
    said = _said(bundle) if dict(labels) == bundle.labels("train") else None
    if not (has_sides(labels.values()) if said is None else said):
        return {}
    content = yaml.safe_load(bundle.config("train").read_text(encoding="utf-8"))
    transforms = content.get("train", {}).get("random_transforms", [])
    if recipe is not None:
        transforms = recipe.overrides.get("train#random_transforms", transforms)
    settings: dict[str, Any] = {"test_time_flips": [[]]}
    for number, step in enumerate(transforms):
        if isinstance(step, dict) and str(step.get("_target_")).rpartition(".")[2] in FLIPS:
            settings[f"train#random_transforms#{number}#prob"] = 0.0
    return settings


def _said(bundle: Bundle) -> bool | None:
    """What the metadata say of sides, if anything."""
    try:
        said = json.loads(bundle.metadata.read_text(encoding="utf-8"))["planar"]["sides"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return said if isinstance(said, bool) else None
