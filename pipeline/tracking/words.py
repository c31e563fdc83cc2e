"""Names and values as MLflow takes them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from datetime import datetime

__all__ = ["PARAM_LENGTH", "TAG_LENGTH", "allowed", "name_of_model", "name_of_run", "tags_taken"]

# What MLflow takes is longer, but not on every store.
TAG_LENGTH, PARAM_LENGTH = 500, 500


def allowed(name: str) -> str:
    """A name as MLflow takes it: those of classes and of settings such as network_def#channels may hold anything."""
    clean = re.sub(r"[^\w.\-/ ]", "_", name)
    return clean if posixpath.normpath(clean) == clean and clean[0] not in "/." else clean.replace("/", "_")


def name_of_model(name: str) -> str:
    """A model's name as MLflow takes it."""
    return re.sub(r"[/:.%\"']", "_", name)


def name_of_run(tags: Mapping[str, str]) -> str:
    """As in "training-20260314-091500". MLflow's own names come from random numbers, which a seed makes the same."""
    return f"{tags.get('planar.kind', 'run')}-{datetime.now():%Y%m%d-%H%M%S}"


def tags_taken(values: Mapping[str, str]) -> dict[str, str]:
    """Tags, each cut where MLflow would not take it."""
    return {name: str(value)[:TAG_LENGTH] for name, value in values.items()}
