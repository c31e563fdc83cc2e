"""The cases that a run says it was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pipeline.split import PARTS
from pipeline.tracking.facts import RunFacts

__all__ = ["RecordedCase", "config_artifact", "datalist_artifact", "merkle_roots", "recorded_cases", "scored_part"]

# What must be the same of a case besides its pixels, for it changes what is computed from them.
DETAILS = ("label_coding", "spacing_mm", "fold")


@dataclass(frozen=True)
class RecordedCase:
    """A case of a record.

    Attributes:
        part: "training", "validation" or "test".
        name: What it is called there.
        image_sha256: Digest of the image's pixels; empty if it was not recorded.
        label_sha256: Digest of the mask's pixels; empty if it has none, or that was not recorded.
        subject: Whose it is; empty if that is not known.
        details: What else counts of it.
    """

    part: str
    name: str
    image_sha256: str
    label_sha256: str
    subject: str
    details: Mapping[str, Any]

    @classmethod
    def of(cls, part: str, item: Mapping[str, Any]) -> RecordedCase:
        """An item of a datalist, one with pseudonyms or with names."""
        image = item.get("image", "")
        name = item.get("case") or (image[0] if isinstance(image, list) and image else image)
        return cls(
            part=part,
            name=str(name),
            image_sha256=str(item.get("image_sha256") or ""),
            label_sha256=str(item.get("label_sha256") or ""),
            subject=str(item.get("subject") or ""),
            details={key: item[key] for key in DETAILS if key in item},
        )


def datalist_artifact(run: RunFacts) -> str | None:
    """The artifact that is the run's datalist."""
    for path in run.within("data", ".json"):
        content = run.json(path)
        if isinstance(content, dict) and any(isinstance(content.get(part), list) for part in PARTS):
            return path
    return None


def recorded_cases(run: RunFacts) -> list[RecordedCase] | None:
    """The cases of a run's datalist; None if it has none."""
    path = datalist_artifact(run)
    if path is None:
        return None
    content = run.json(path)
    return [
        RecordedCase.of(part, item) for part in PARTS for item in content.get(part, ()) if isinstance(item, Mapping)
    ]


def merkle_roots(run: RunFacts) -> dict[str, dict[str, str]]:
    """The Merkle roots that a run has recorded, by part, and by where each stands."""
    found: dict[str, dict[str, str]] = {}
    listed = run.json("data/merkle.json")
    for part, entry in listed.items() if isinstance(listed, Mapping) else ():
        if isinstance(entry, Mapping) and entry.get("root"):
            found.setdefault(str(part), {})["data/merkle.json"] = str(entry["root"])
    for use in run.datasets:
        if root := use.profile.get("merkle_root"):
            found.setdefault(use.context, {})[f"the dataset {use.name}"] = str(root)
    return found


def scored_part(run: RunFacts) -> str | None:
    """The part of the datalist that an evaluation has scored."""
    part = run.params.get("split")
    if part in PARTS:
        return part
    contexts = {use.context for use in run.datasets}
    return next(iter(contexts)) if len(contexts) == 1 else None


def config_artifact(run: RunFacts) -> str | None:
    """The artifact that is the executed config; of a run that is no workflow of MONAI's, its settings."""
    found = [path for path in run.within("config", ".json") if PurePosixPath(path).name.startswith("config")]
    found = found or list(run.within("config"))
    return found[0] if len(found) == 1 else None
