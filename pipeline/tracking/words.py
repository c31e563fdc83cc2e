"""Names and values as MLflow takes them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from pipeline.errors import InvalidDatalist

__all__ = ["PARAM_LENGTH", "TAG_LENGTH", "allowed", "name_of_model", "name_of_run", "require_apart", "tags_taken"]

# What MLflow takes is longer, but not on every store.
TAG_LENGTH, PARAM_LENGTH = 500, 500


def allowed(name: str) -> str:
    """A name as MLflow takes it: those of classes and of settings such as network_def#channels may hold anything."""
    clean = re.sub(r"[^\w.\-/ ]", "_", name)
    return clean if posixpath.normpath(clean) == clean and clean[0] not in "/." else clean.replace("/", "_")


def require_apart(classes: Iterable[str]) -> None:
    """Raise InvalidDatalist where two classes have one name in MLflow: numbers of the one would replace the other's."""
    known: dict[str, str] = {}
    for name in classes:
        other = known.setdefault(allowed(f"dice_{name}"), name)
        if other != name:
            raise InvalidDatalist(
                f"The classes '{other}' and '{name}' are one name for MLflow, {allowed(name)!r}, which would keep the "
                "scores of one of them alone; expected names that differ in letters, digits, '-', '.' or spaces. Name "
                "one otherwise in the datalist and the bundle, or run with --no-tracking."
            )


def name_of_model(name: str) -> str:
    """A model's name as MLflow takes it."""
    return re.sub(r"[/:.%\"']", "_", name)


def name_of_run(tags: Mapping[str, str]) -> str:
    """As in "training-20260314-091500". MLflow's own names come from random numbers, which a seed makes the same."""
    return f"{tags.get('planar.kind', 'run')}-{datetime.now():%Y%m%d-%H%M%S}"


def tags_taken(values: Mapping[str, str]) -> dict[str, str]:
    """Tags, each cut where MLflow would not take it."""
    return {name: str(value)[:TAG_LENGTH] for name, value in values.items()}
