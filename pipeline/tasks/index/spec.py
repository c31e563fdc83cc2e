"""The task spec: a small YAML file that names a task's classes and says how its masks are coded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InvalidOption, MissingFile, UnknownLabel
from pipeline.labels import LabelCoding

__all__ = ["TaskSpec", "read_task_spec"]


@dataclass(frozen=True)
class TaskSpec:
    """What a task is about.

    Args:
        name: Short name, such as "cxr_lung".
        labels: Class names, background first.
        coding: How masks of this task are usually stored.
        modality: DICOM modality, or "unknown".
        description: One line.
    """

    name: str
    labels: tuple[str, ...]
    coding: LabelCoding
    modality: str = "unknown"
    description: str = ""


def read_task_spec(path: str | Path) -> TaskSpec:
    """Read a task spec.

    Raises:
        MissingFile: if it is not there.
        InvalidOption: if it is not a task spec.
    """
    import yaml

    file = Path(path)
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        labels = tuple(str(label) for label in document["labels"])
        coding = LabelCoding.parse(str(document["masks"]))
    except FileNotFoundError:
        raise MissingFile(f"{file}: no such task spec. The ones that come with planar are in configs/tasks.") from None
    except UnknownLabel as error:
        raise InvalidOption(f"{file}: {error}") from None
    except (KeyError, TypeError, ValueError, OSError, yaml.YAMLError) as error:
        what = " ".join(str(error).split())
        raise InvalidOption(
            f"{file} is no task spec ({what}): it needs name, labels (a list) and masks (a coding)."
        ) from None
    if max(coding.known_classes or {0}) >= len(labels):
        raise InvalidOption(f"{file}: masks '{coding}' names more classes than labels has ({', '.join(labels)}).")
    return TaskSpec(
        name=str(document.get("name", file.stem)),
        labels=labels,
        coding=coding,
        modality=str(document.get("modality", "unknown")),
        description=str(document.get("description", "")),
    )
