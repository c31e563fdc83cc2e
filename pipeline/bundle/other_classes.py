"""What a bundle's settings say of its classes by number, for a copy that has others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.bundle.editing import flow, rewrite_config
from pipeline.bundle.find import SUFFIXES
from pipeline.labels import class_key

__all__ = ["note_on_classes", "renumber_classes"]

CONFIGS = ("train", "multi_gpu_train", "evaluate", "inference")
# Arguments of transforms that list classes.
LISTS = ("applied_labels", "classes", "lung_classes")
NUMBERS = re.compile(r"\[([^\]]*)\]")


def note_on_classes(former: Mapping[int, str], labels: Mapping[int, str]) -> list[str]:
    """What a user should know of a copy for these classes.

    Args:
        former: Class index → name in the original.
        labels: The same in the copy.
    """
    if dict(former) == dict(labels):
        return []
    told = f"The classes are the datalist's: {', '.join(labels.values())}."
    known = {class_key(name) for name in labels.values()}
    gone = [name for name in former.values() if class_key(name) not in known]
    if gone:
        told += f" What the bundle does for {', '.join(gone)} alone (post-processing, augmentation) is left out."
    return [told]


def renumber_classes(root: Path, former: Mapping[int, str], labels: Mapping[int, str]) -> None:
    """Let a bundle's configs speak of the same classes by their new numbers.

    Transforms that list classes (post-processing, augmentation) get the new numbers, and are disabled where one of
    their classes is gone. Unions of such classes are left out. Class weights are reordered, and null where a class is
    new.

    Args:
        root: The copy, which may be changed.
        former: Class index → name that its configs were written for.
        labels: Those that it will have. Another spelling makes no other class.
    Raises: InvalidBundle: if a config cannot be read.
    """
    numbers = {class_key(name): number for number, name in labels.items()}
    new = {number: numbers[class_key(name)] for number, name in former.items() if class_key(name) in numbers}
    if all(new.get(number) == number for number in former) and len(former) == len(labels):
        return

    def change(content: Any) -> bool:
        if not isinstance(content, dict):
            return False
        if isinstance(content.get("unions"), dict):
            content["unions"] = flow(_unions(content["unions"], new, len(labels)))
        _weigh_again(content.get("loss"), new, len(former), len(labels))
        _renumber(content, new)
        return True

    for kind in CONFIGS:
        for path in ((root / "configs" / f"{kind}{suffix}") for suffix in SUFFIXES):
            if path.is_file():
                rewrite_config(path, change)


def _unions(unions: Mapping[Any, Any], new: Mapping[int, int], after: int) -> dict[int, list[int]]:
    """Unions of classes that are all there, numbered on from the classes."""
    kept = [parts for _, parts in sorted(unions.items()) if all(part in new for part in parts)]
    return {after + number: [new[part] for part in parts] for number, parts in enumerate(kept)}


def _weigh_again(loss: Any, new: Mapping[int, int], before: int, after: int) -> None:
    """Class weights of a loss, or of one in it, in the new order; without weights where there is none for a class."""
    if not isinstance(loss, dict):
        return
    _weigh_again(loss.get("loss"), new, before, after)
    weight = loss.get("weight")
    text = weight if isinstance(weight, str) else ""  # such as "$torch.tensor([0.3, 0.9], device=@device)"
    found = NUMBERS.search(text)
    given = [part.strip() for part in found[1].split(",")] if found else weight
    if not isinstance(given, list) or len(given) != before:
        return
    ordered = {new[number]: part for number, part in enumerate(given) if number in new}
    if set(ordered) != set(range(after)):
        loss["weight"] = None
        return
    parts = [ordered[number] for number in range(after)]
    loss["weight"] = flow(NUMBERS.sub(f"[{', '.join(parts)}]", text, count=1) if found else parts)


def _renumber(content: Any, new: Mapping[int, int]) -> None:
    """Lists of classes in the transforms of a config; a transform of a class that is gone is disabled."""
    for part in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        for name in LISTS if isinstance(part, dict) and "_target_" in part else ():
            numbers = part.get(name)
            if not isinstance(numbers, list) or not all(isinstance(number, int) for number in numbers):
                continue
            if all(number in new for number in numbers):
                part[name] = flow([new[number] for number in numbers])
            else:
                part["_disabled_"] = True
        _renumber(part, new)
