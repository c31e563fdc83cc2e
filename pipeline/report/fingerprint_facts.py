"""A fingerprint in brief, for the report of an evaluation; the whole of it has a page of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report.page import number, percent

__all__ = ["fingerprint_facts", "near_duplicate_rows", "near_duplicates_of"]

# More pairs than this are a finding, not a list.
PAIRS = 10


def fingerprint_facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values.

    Args:
        document: A `planar-fingerprint/1`; what it lacks is left out.
    """
    facts: list[tuple[str, str]] = []
    subjects = document.get("subjects", {})
    for part, count in document.get("cases", {}).items():
        facts.append((part.capitalize(), f"{number(count)} images, {number(subjects.get(part, 0))} subjects"))
    size = document.get("size")
    if size:
        facts.append(
            ("Width × height, median", " × ".join(number(size[side]["median"]) for side in ("width", "height")))
        )
        facts.append(("Longer side", f"{number(size['longest']['min'])} to {number(size['longest']['max'])} pixels"))
    spacing = document.get("spacing_mm", {}).get("x")
    facts.append(("Pixel size, median", f"{number(spacing['median'])} mm" if spacing else "unknown"))
    stored = document.get("stored", {})
    facts.append(("Stored as", ", ".join([*stored.get("formats", {}), *stored.get("dtypes", {})]) or "unknown"))
    inside, outside = (document.get("intensity", {}).get(where) for where in ("inside", "outside"))
    if inside and outside:
        facts.append(("Intensity inside, median", f"{number(inside['median'])} (outside {number(outside['median'])})"))
    for name, found in document.get("classes", {}).items():
        facts.append((f"{name}, share of all pixels", percent(found.get("pixel_share"))))
    return facts


def near_duplicates_of(document: Mapping[str, Any], split: str) -> list[Mapping[str, Any]]:
    """The pairs of nearly equal pictures of which one is in this part of the set and the other in another."""
    pairs = document.get("near_duplicates", ())
    return [pair for pair in pairs if split in pair["parts"] and len({*pair["parts"]}) > 1]


def near_duplicate_rows(document: Mapping[str, Any], split: str) -> list[list[str]]:
    """The most alike of them: picture here, picture there, similarity."""
    rows = []
    for pair in near_duplicates_of(document, split)[:PAIRS]:
        here, there = ("a", "b") if pair["parts"][0] == split else ("b", "a")
        other = pair["parts"][1] if here == "a" else pair["parts"][0]
        named = [str(pair.get(which, "not named")) for which in (here, there)]  # a bundle's own names no pictures
        rows.append([*named, str(other), number(pair.get("similarity"))])
    return rows
