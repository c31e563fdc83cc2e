"""Datalists whose masks mark several of a task's classes as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.datalist import Datalist
from pipeline.errors import InvalidDatalist, InvalidOption
from pipeline.labels import LabelCoding

__all__ = ["class_numbers", "parse_unions", "require_unions_known", "with_unions"]


def parse_unions(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`disc=disc_rim,cup`, one or several, as union → classes.

    Raises: InvalidOption: for anything else.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, _, rest = text.partition("=")
        parts = tuple(part.strip() for part in rest.split(",") if part.strip())
        if not name.strip() or len(set(parts)) < 2:
            raise InvalidOption(f"--union {text!r} cannot be read; expected NAME=CLASS,CLASS such as disc=rim,cup.")
        found[name.strip()] = parts
    return found


def class_numbers(
    path: Path, content: Datalist, first: Datalist, unions: Mapping[str, Sequence[str]]
) -> dict[int, int]:
    """Class number in a list → that in the first list, unions behind its classes; empty if both have the same classes.

    Args:
        path: Of the list, for messages.
        content: The list.
        first: The first list.
        unions: Name of each union → its classes.

    Raises:
        InvalidDatalist: if the list has a class that is neither the first one's nor a union.
        InvalidOption: if a union is of classes that the first list does not have.
    """
    for name, parts in unions.items():
        if not set(parts) <= set(first.labels[1:]) or name in first.labels:
            raise InvalidOption(
                f"--union {name}={','.join(parts)}: expected a new name for some of {', '.join(first.labels[1:])}."
            )
    if content.labels == first.labels:
        return {}
    known = {name: number for number, name in enumerate((*first.labels, *unions))}
    strangers = [name for name in content.labels if name not in known]
    if strangers or not set(content.labels) & set(unions):
        raise InvalidDatalist(
            f"{path} has the classes {', '.join(content.labels)}, the first list has {', '.join(first.labels)}; "
            "expected the same in the same order. Index one of them again with the other's (--task, --colours …), or "
            "say with --union which of its classes stands for several."
        )
    return {number: known[name] for number, name in enumerate(content.labels)}


def with_unions(content: Datalist, numbers: Mapping[int, int]) -> Datalist:
    """The training part of a list, whose masks are coded with other class numbers; the list itself for no numbers.

    Args:
        content: The list.
        numbers: Class number → new class number.
    """
    if not numbers:
        return content
    training = [_renumbered(item, numbers) for item in content.training]
    return replace(content, training=training, validation=[], test=[])


def _renumbered(item: Mapping[str, Any], numbers: Mapping[int, int]) -> dict[str, Any]:
    coding = LabelCoding.parse(str(item.get("label_coding", "index")))
    if coding.files:
        coding = replace(coding, files=tuple(numbers[number] for number in coding.files))
    elif coding.table:
        coding = replace(coding, table=tuple((value, numbers[number]) for value, number in coding.table))
    elif len(numbers) == 2:  # one class, in one file: "@3" gives its foreground another number
        coding = replace(coding, files=(numbers[1],))
    else:
        raise InvalidDatalist(
            f"{item['image']}: its mask holds class indices, which cannot be given other numbers. Index the set with "
            "--levels."
        )
    return {**item, "label_coding": str(coding)}


def require_unions_known(content: Datalist, datalist: Path, *, known: bool, by: str) -> None:
    """Raise InvalidOption if masks mark several classes as one and what they train cannot learn from that.

    Args:
        content: The datalist.
        datalist: Where it is, for the message.
        known: Whether unions can be learnt from.
        by: What is trained by, for the message.
    """
    codings = [LabelCoding.parse(str(item.get("label_coding") or "index")) for item in content.training]
    several = sum(max(coding.known_classes or {0}) >= len(content.labels) for coding in codings)
    if several and not known:
        raise InvalidOption(
            f"{datalist}: {several} training {'cases mark' if several > 1 else 'case marks'} several classes as one "
            f"(--union), from which {by} cannot learn. Give the datalist that was there before planar merge --union."
        )
