"""One choice of a plan, with the reason that is written beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Choice", "Step", "flow"]


@dataclass(frozen=True)
class Choice:
    """A value and why.

    Attributes:
        value: What was chosen; numbers, text, lists of them.
        why: One sentence, in terms of the fingerprint.
    """

    value: Any
    why: str


@dataclass(frozen=True)
class Step:
    """One MONAI transform of a config.

    Attributes:
        target: Class, by its name in MONAI or its full path.
        image: Parameters for the picture.
        label: Parameters for the mask where they differ; None if the transform leaves the mask alone.
        shared: Parameters that are not given by key.
        why: What is written above the transform; empty if it is plain.
    """

    target: str
    image: Mapping[str, Any]
    label: Mapping[str, Any] | None = None
    shared: Mapping[str, Any] | None = None
    why: str = ""

    def line(self, with_label: bool = True, label_only: bool = False) -> str:
        """The transform as one line of YAML, for picture and mask, for the picture alone or for the mask alone."""
        entries: dict[str, Any] = {"_target_": self.target}
        if label_only:
            return flow(entries | {"keys": "label"} | dict(self.label or {}) | dict(self.shared or {}))
        if with_label and self.label is not None:
            entries["keys"] = ["image", "label"]
            for name in [*self.image, *(name for name in self.label if name not in self.image)]:
                ours, theirs = self.image.get(name), self.label.get(name)
                entries[name] = ours if ours == theirs else [ours, theirs]
        else:
            entries |= {"keys": "image", **self.image}
        return flow(entries | dict(self.shared or {}))


def flow(value: Any) -> str:
    """A value as YAML on one line; text is quoted only where YAML 1.1, which MONAI reads, would take it otherwise."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(part) for part in value) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, str):
        # MONAI's names and dotted paths stand bare; its $expressions and @references need quotes within a mapping.
        plain = value.replace(".", "").replace("_", "").isalnum() and not value[0].isdigit()
        plain = plain and value.lower() not in ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
        return value if plain else json.dumps(value, ensure_ascii=False)
    return str(value)


def _number(value: float) -> str:
    """A float so that it is read as one: YAML 1.1 takes 1e-05 for text."""
    text = format(value, ".6g")
    if "e" in text:
        text = format(value, ".10f").rstrip("0")
    return text if "." in text else f"{text}.0"
