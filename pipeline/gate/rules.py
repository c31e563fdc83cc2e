"""What a right mask of a task looks like, in a file that people edit: configs/quality.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.errors import InvalidBundle
from pipeline.fingerprint.regions import EIGHT, SPECK_SHARE, boundary_length, filled

__all__ = ["ClassRules", "Rules", "broken_rules", "read_rules", "rules_from"]

# The share of a class that must lie within another to count as inside it: outlines are ragged.
MOSTLY = 0.95


@dataclass(frozen=True)
class ClassRules:
    """Rules of one class; None where there is none.

    Attributes:
        present: "always" if every picture shows it, "sometimes" if a mask without it is right as well.
        objects: Least and greatest number of connected objects, not counting specks.
        area_share: Least and greatest share of the picture.
        largest_share: Least and greatest share of the class that its largest object holds.
        specks: Greatest share of the class in objects that are too small to count.
        holes: Greatest area of its holes, as a share of its own.
        border: Greatest share of its outline that lies on the picture's edge.
        inside: The class within which it lies, or within whose holes.
    """

    present: str | None = None
    objects: tuple[float, float] | None = None
    area_share: tuple[float, float] | None = None
    largest_share: tuple[float, float] | None = None
    specks: float | None = None
    holes: float | None = None
    border: float | None = None
    inside: str | None = None


@dataclass(frozen=True)
class Rules:
    """The content of quality.yaml.

    Attributes:
        classes: By class name.
        speck: Share of its class below which an object is a speck.
        slices: Share of a volume's slices from which on, if they need review, the volume does.
        limits: "predicted_dice" and "distance", if they are to differ from what `planar calibrate` chose.
    """

    classes: Mapping[str, ClassRules] = field(default_factory=dict)
    speck: float = SPECK_SHARE
    slices: float = 0.1
    limits: Mapping[str, float] = field(default_factory=dict)


def read_rules(path: Path, labels: Mapping[int, str]) -> Rules:
    """The rules of a bundle; none if it has no such file.

    Args:
        path: `configs/quality.yaml`, there or not.
        labels: Class index → name.
    Raises: InvalidBundle: if the file cannot be read as rules for these classes.
    """
    import yaml

    if not path.is_file():
        return Rules()
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidBundle(f"{path}: is not YAML: {' '.join(str(error).split())}. Mend or remove it.") from None
    return rules_from(document or {}, labels, str(path))


def rules_from(document: Any, labels: Mapping[int, str], source: str = "quality.yaml") -> Rules:
    """Rules from a document such as quality.yaml's.

    Args:
        document: {"classes": {name: {rule: value}}, "speck", "slices", "limits"}.
        labels: Class index → name.
        source: What to call it in messages.
    Raises: InvalidBundle: if a key is unknown, a value out of range, or a class none of the bundle's.
    """
    if not isinstance(document, Mapping):
        raise InvalidBundle(f"{source}: expected keys such as `classes`, got {_short(document)}. Mend or remove it.")
    _require_known(document, {part.name for part in fields(Rules)}, source)
    foreground = [name for index, name in labels.items() if index != 0]
    classes = document.get("classes") or {}
    if not isinstance(classes, Mapping):
        raise InvalidBundle(f"{source}: classes: expected rules by class name, got {_short(classes)}.")
    limits = document.get("limits") or {}
    if not isinstance(limits, Mapping):
        raise InvalidBundle(f"{source}: limits: expected numbers by name, got {_short(limits)}.")
    _require_known(limits, {"predicted_dice", "distance"}, f"{source}: limits")
    return Rules(
        classes={
            str(name): _class_rules(rules or {}, str(name), foreground, source) for name, rules in classes.items()
        },
        speck=_share(document.get("speck", Rules.speck), f"{source}: speck"),
        slices=_share(document.get("slices", Rules.slices), f"{source}: slices"),
        limits={str(name): _number(value, f"{source}: limits: {name}") for name, value in limits.items()},
    )


def broken_rules(mask: NDArray[np.uint8], labels: Mapping[int, str], rules: Rules) -> list[str]:
    """What is implausible about a mask, a line each.

    Args:
        mask: Class indices, (W, H).
        labels: Class index → name.
        rules: What is plausible.
    """
    found: list[str] = []
    for index, name in labels.items():
        rule = rules.classes.get(name)
        if index == 0 or rule is None:
            continue
        region = mask == index
        if region.any():
            found += [f"{_words(name)}: {line}" for line in _broken(region, rule, mask, labels, rules.speck)]
        elif rule.present == "always":
            found.append(f"{_words(name)}: nothing was found; expected in every picture.")
    return found


def _broken(
    region: NDArray[np.bool_], rule: ClassRules, mask: NDArray[np.uint8], labels: Mapping[int, str], speck: float
) -> list[str]:
    area = int(region.sum())
    labelled, _ = ndimage.label(region, EIGHT)
    sizes = np.bincount(labelled.ravel())[1:]
    real = sizes[sizes >= speck * area]
    lines = []
    if rule.objects and not rule.objects[0] <= len(real) <= rule.objects[1]:
        lines.append(f"{len(real)} object{'s' * (len(real) != 1)}; expected {_range(rule.objects)}.")
    if line := _outside(area / region.size, rule.area_share, "of the picture"):
        lines.append(line)
    if line := _outside(float(sizes.max()) / area, rule.largest_share, "of it in the largest object"):
        lines.append(line)
    if line := _above(1 - float(real.sum()) / area, rule.specks, "of it in specks"):
        lines.append(line)
    if rule.holes is not None and (line := _above(_holes(region, mask) / area, rule.holes, "holes, of its area")):
        lines.append(line)
    if rule.border is not None and (
        line := _above(_at_edge(region), rule.border, "of its outline on the picture's edge")
    ):
        lines.append(line)
    if rule.inside is not None:
        outer = next(index for index, name in labels.items() if name == rule.inside)
        within = float(filled(mask == outer)[region].mean())
        if within < MOSTLY:
            lines.append(f"only {_percent(within)} of it within {_words(rule.inside)}; expected all.")
    return lines


def _holes(region: NDArray[np.bool_], mask: NDArray[np.uint8]) -> int:
    """Background that the region encloses, pixels; another class in it is no hole."""
    return int(np.count_nonzero(filled(region) & (mask == 0)))


def _at_edge(region: NDArray[np.bool_]) -> float:
    """Share of the region's outline that is the picture's edge."""
    touching = sum(int(side.sum()) for side in (region[0], region[-1], region[:, 0], region[:, -1]))
    return touching / (boundary_length(region) + touching)


def _outside(value: float, expected: tuple[float, float] | None, what: str) -> str | None:
    if expected is None or expected[0] <= value <= expected[1]:
        return None
    return f"{_percent(value)} {what}; expected {_percent(expected[0])} to {_percent(expected[1])}."


def _above(value: float, most: float | None, what: str) -> str | None:
    return None if most is None or value <= most else f"{_percent(value)} {what}; expected at most {_percent(most)}."


def _class_rules(rules: Any, name: str, foreground: list[str], source: str) -> ClassRules:
    where = f"{source}: {name}"
    if name not in foreground:
        raise InvalidBundle(f"{where} is no class of the bundle; its classes are {', '.join(foreground)}. Rename it.")
    if not isinstance(rules, Mapping):
        raise InvalidBundle(f"{where}: expected rules such as `objects: [1, 2]`, got {_short(rules)}.")
    _require_known(rules, {part.name for part in fields(ClassRules)}, where)
    read: dict[str, Any] = {}
    for key, value in rules.items():
        if value is None:
            continue
        at = f"{where}: {key}"
        if key == "objects":
            read[key] = _pair(value, at, 1e9)
        elif key in ("area_share", "largest_share"):
            read[key] = _pair(value, at, 1.0)
        elif key in ("specks", "holes", "border"):
            read[key] = _number(value, at) if key == "holes" else _share(value, at)
        elif key == "present" and value not in ("always", "sometimes"):
            raise InvalidBundle(f"{at} is {_short(value)}; expected always or sometimes.")
        elif key == "inside" and (value not in foreground or value == name):
            raise InvalidBundle(f"{at} is {_short(value)}; expected another class of the bundle.")
        else:
            read[key] = value
    return ClassRules(**read)


def _require_known(document: Mapping[Any, Any], known: set[str], where: str) -> None:
    strange = [str(key) for key in document if key not in known]
    if strange:
        raise InvalidBundle(f"{where}: '{strange[0]}' is no key here; known are {', '.join(sorted(known))}.")


def _pair(value: Any, where: str, most: float) -> tuple[float, float]:
    """Least and greatest; one number is both."""
    ends = list(value) if isinstance(value, (list, tuple)) else [value, value]
    numbers = [_number(end, where) for end in ends]
    if len(numbers) != 2 or not 0 <= numbers[0] <= numbers[1] <= most:
        raise InvalidBundle(f"{where} is {_short(value)}; expected [least, greatest], from 0 to {most:g}.")
    return numbers[0], numbers[1]


def _share(value: Any, where: str) -> float:
    return _pair([0, value], where, 1.0)[1]


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise InvalidBundle(f"{where} is {_short(value)}; expected a number.")
    return float(value)


def _range(pair: tuple[float, float]) -> str:
    return f"{pair[0]:g}" if pair[0] == pair[1] else f"{pair[0]:g} to {pair[1]:g}"


def _percent(share: float) -> str:
    """Two digits, so that 0.4 % is not 0 %."""
    return f"{float(f'{100 * share:.2g}'):g} %"


def _words(name: str) -> str:
    return re.sub(r"[_\s]+", " ", name)


def _short(value: Any) -> str:
    return f"{value!r:.60}"
