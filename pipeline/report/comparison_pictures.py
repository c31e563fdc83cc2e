"""The cases in which two evaluations differ most, in pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.errors import PlanarError
from pipeline.overlays import REFERENCE, draw_agreement, draw_filled
from pipeline.report.comparison import Comparison, Entry
from pipeline.report.measures import MEASURES
from pipeline.report.pictures import LONGEST, PLAIN, CaseSource, class_colours, light_uri, read_case, with_box
from pipeline.report.privacy import without_folders
from pipeline.report.strips import Strip

__all__ = ["EACH_WAY", "comparison_strips"]

EACH_WAY = 3

Strips = list[tuple[str, list[Strip]]]


def comparison_strips(
    comparison: Comparison, source: CaseSource, notes: list[str], advance: Callable[[], None]
) -> Strips:
    """Up to three images in which the first is better, and as many for the second: who is better → image by image.

    Args:
        comparison: Of two evaluations that kept their masks.
        source: The pictures, by the names of the first evaluation.
        notes: Takes a line for what could not be drawn.
        advance: Called after each image.
    """
    found: dict[str, list[Strip]] = {}
    for row in _wanted(comparison):
        better = comparison.second if row["difference"] > 0 else comparison.first
        strip = _strip(comparison, source, row, notes)
        advance()
        if strip is not None:
            found.setdefault(f"{better.letter} is better", []).append(strip)
    return list(found.items())


def _wanted(comparison: Comparison) -> list[dict[str, Any]]:
    """The rows that differ most, never those that are equal."""
    table = comparison.by_image()
    worse = table[table["difference"] < 0].head(EACH_WAY)
    better = table[table["difference"] > 0].tail(EACH_WAY)[::-1]
    return [
        {str(key): value for key, value in row.items()} for part in (worse, better) for row in part.to_dict("records")
    ]


def _strip(comparison: Comparison, source: CaseSource, row: dict[str, Any], notes: list[str]) -> Strip | None:
    first, second = comparison.first, comparison.second
    short = first.view.short[row["image_first"]]
    masks = [_mask(first, row["image_first"]), _mask(second, row["image_second"])]
    if any(mask is None or not mask.is_file() for mask in masks):
        notes.append(f"{short} is not shown: its mask is not in both evaluation folders.")
        return None
    try:
        case = read_case(
            source.items[row["image_first"]],
            [mask for mask in masks if mask is not None],
            scored=[first.view.dice_of(row["image_first"]), second.view.dice_of(row["image_second"])],
        )
    except PlanarError as error:
        notes.append(f"{short} is not shown: {without_folders(str(error))}")
        return None
    reference = draw_filled(case.detail, case.reference, class_colours(first.view.classes, REFERENCE))
    pictures = [
        ("Image", light_uri(with_box(case.image, case.box), PLAIN)),
        ("Reference", light_uri(reference, PLAIN)),
    ]
    for entry, key, prediction in zip((first, second), ("dice_first", "dice_second"), case.predictions, strict=True):
        outlines = light_uri(draw_agreement(case.detail, prediction, case.reference), LONGEST)
        pictures.append((f"{entry.letter}, Dice {row[key]:.3f}", outlines))
    difference = MEASURES[0].text(row["difference"], signed=True)
    caption = f"subject {row['subject'][:8]}: Dice of {second.letter} − Dice of {first.letter} = {difference}"
    return Strip(short, caption, pictures)


def _mask(entry: Entry, image: str) -> Path | None:
    images = entry.view.images
    if "mask" not in images:
        return None
    mask = str(images.loc[images["image"] == image, "mask"].iloc[0])
    return entry.view.folder / mask if mask else None
