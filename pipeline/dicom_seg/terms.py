"""What a class is called in DICOM, and its colour: from the tables in `configs/labels/` and the bundle's own."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.bundle import Bundle, shipped_folder
from pipeline.errors import InvalidBundle, MissingFile
from pipeline.labels import FURTHER_COLOURS, label_words, parse_colour, rgb_of

__all__ = ["TISSUE", "Code", "Term", "read_terms", "terms_of"]

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Code:
    """A coded concept.

    Attributes:
        value: Such as "39607008".
        scheme: Coding scheme designator: SCT for SNOMED CT, DCM for DICOM's own.
        meaning: In words.
    """

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class Term:
    """A class in DICOM's words.

    Attributes:
        label: The class as the bundle calls it.
        category: What kind of thing it is.
        kind: What it is.
        side: Left or Right, or None.
        colour: Red, green, blue.
        known: Whether the class stands in a table.
    """

    label: str
    category: Code
    kind: Code
    side: Code | None
    colour: Colour
    known: bool = True


@dataclass(frozen=True)
class _Entry:
    category: Code
    kind: Code
    colour: Colour


SIDES = {
    **dict.fromkeys(("left", "l", "sinister", "links", "gauche"), Code("7771000", "SCT", "Left")),
    **dict.fromkeys(("right", "r", "dexter", "rechts", "droit", "droite"), Code("24028007", "SCT", "Right")),
}
# What has no code of its own is at least that; the segment's label says the rest.
TISSUE = Code("85756007", "SCT", "Tissue")
# Apart for the colour-blind too (Okabe and Ito); of those that are in no table, or would look like another.
SPARE = ("#009e73", "#e69f00", "#56b4e9", "#cc79a7", "#f0e442", "#0072b2", "#d55e00")
# Colours nearer to each other than this, as the sum over the channels, look alike on a grey picture.
ALIKE = 60
PALER = 0.45


def terms_of(bundle: Bundle, labels: Mapping[int, str]) -> dict[int, Term]:
    """The terms of a bundle's classes, the background left out; no two have one colour.

    Args:
        bundle: Its `configs/labels.yaml`, if there is one, comes before the tables that ship with Planar.
        labels: Class index → name.

    Raises:
        InvalidBundle: if the bundle's table cannot be read.
        MissingFile: if the installation lacks its tables.
    """
    own = bundle.root / "configs" / "labels.yaml"
    return read_terms(labels, [own] if own.is_file() else [])


def read_terms(labels: Mapping[int, str], own: Iterable[Path] = ()) -> dict[int, Term]:
    """As `terms_of`, from tables.

    Args:
        labels: Class index → name; index 0 is the background.
        own: Tables that come before those that ship.
    """
    entries: dict[str, _Entry] = {}
    for table in (*own, *_shipped_tables()):
        for name, found in _read_table(table).items():
            entries.setdefault(name, found)
    terms: dict[int, Term] = {}
    taken: list[Colour] = []
    for index, label in sorted(labels.items()):
        if index == 0:
            continue
        side, entry = _looked_up(label, entries)
        wanted = entry.colour if entry is not None else _rgb(SPARE[len(terms) % len(SPARE)])
        if side is not None and side.meaning == "Left":
            wanted = _paler(wanted)
        colour = _free(wanted, taken)
        taken.append(colour)
        category, kind = (entry.category, entry.kind) if entry is not None else (TISSUE, TISSUE)
        terms[index] = Term(label, category, kind, side, colour, known=entry is not None)
    return terms


def _looked_up(label: str, entries: Mapping[str, _Entry]) -> tuple[Code | None, _Entry | None]:
    """Side and entry of a class: its whole name first, so that a table may have a left ventricle of its own."""
    words = label_words(label)
    whole = entries.get("_".join(words))
    if whole is not None:
        return None, whole
    for number, word in enumerate(words):
        rest = "_".join(words[:number] + words[number + 1 :])
        if word in SIDES and rest in entries:
            return SIDES[word], entries[rest]
    # llung, lungl; a letter alone counts only where the rest is a known name.
    joined = "".join(words)
    plain = {name.replace("_", ""): entry for name, entry in entries.items()}
    for word, side in SIDES.items():
        for rest in (joined.removeprefix(word), joined.removesuffix(word)):
            if rest != joined and rest in plain:
                return side, plain[rest]
    return next((SIDES[word] for word in words if word in SIDES and len(word) > 1), None), plain.get(joined)


def _shipped_tables() -> list[Path]:
    folder = shipped_folder("configs")
    tables = sorted((folder / "labels").glob("*.yaml")) if folder is not None else []
    if not tables:
        raise MissingFile("configs/labels: the tables of codes are not there. Install planar again.")
    return tables


def _read_table(path: Path) -> dict[str, _Entry]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        default = content.get("category")
        found: dict[str, _Entry] = {}
        for name, said in content["labels"].items():
            entry = _Entry(_code(said.get("category", default)), _code(said), _rgb(str(said["colour"])))
            for spelling in (name, *said.get("also", ())):
                found["_".join(label_words(str(spelling)))] = entry
        return found
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        what = " ".join(str(error).split())
        raise InvalidBundle(
            f"{path}: no table of labels ({what}). Expected `category: {{value, scheme, meaning}}` and `labels:` with "
            'lines such as `lung: {value: "39607008", meaning: Lung, colour: "#56b4e9"}`.'
        ) from None


def _code(said: Any) -> Code:
    return Code(str(said["value"]), str(said.get("scheme", "SCT")), str(said["meaning"]))


def _rgb(text: str) -> Colour:
    return rgb_of(parse_colour(text))


def _paler(colour: Colour) -> Colour:
    red, green, blue = (round(c + PALER * (255 - c)) for c in colour)
    return red, green, blue


def _free(wanted: Colour, taken: list[Colour]) -> Colour:
    """The wanted colour, or another that is not like one that is taken."""
    for candidate in (wanted, *map(_rgb, SPARE), *FURTHER_COLOURS):
        if all(_apart(candidate, other) > ALIKE for other in taken):
            return candidate
    # More classes than colours with names: hues at steps of the golden ratio.
    red, green, blue = colorsys.hsv_to_rgb(len(taken) * 0.618034 % 1, 0.75, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def _apart(one: Colour, other: Colour) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))
