"""What a careful reader of a fingerprint would say: the things to look at before anything is planned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.fingerprint.document import Fingerprint

__all__ = ["remarks"]

FEW_SUBJECTS = 20
FEW_TO_SCORE = 10
RARE_SHARE = 0.005
FEW_CASES = 10
SPECK_PX = 4
SATURATED = 0.05
RAGGED_SHARE = 0.1


def remarks(fingerprint: Fingerprint) -> list[str]:
    """One sentence each, the gravest first; empty where nothing is remarkable."""
    document = dict(fingerprint.document)
    return [*_leaks(document), *_numbers(document), *_classes(document), *_pictures(document)]


def _leaks(document: dict[str, Any]) -> Iterator[str]:
    copies = sum(pair["kind"] == "copy" for pair in document["near_duplicates"])
    if copies:
        yield (
            f"{_count(copies, 'pair')} of nearly the same pictures lie on two sides of the split: scores will be too "
            "good. Give both the same subject and index again."
        )
    order = document["order"]
    if order and order["stacked"]:
        yield (
            f"Pictures that follow one another by name look alike (agreement {order['neighbours']:.2f}, others "
            f"{order['others']:.2f}): slices of one volume or frames of one film? If so, a volume is one subject, and "
            "scores across neighbouring slices say little of new patients."
        )
    within = document["near_duplicates_within"]
    if within:
        yield f"{_count(within, 'pair')} of nearly the same pictures lie within one part: they count twice in it."


def _numbers(document: dict[str, Any]) -> Iterator[str]:
    if "training" not in document["measured"]:
        yield "All cases are for testing. The figures describe them; nothing should be planned from them."
        return
    training, test = document["subjects"]["training"], document["subjects"]["test"]
    if training < FEW_SUBJECTS:
        yield f"Only {_count(training, 'subject')} to train on: scores will change much with the split. Use folds."
    if 0 < test < FEW_TO_SCORE:
        yield f"Only {_count(test, 'subject')} to test on: the intervals of any score will be wide."
    if not document["cases"]["validation"]:
        yield "No validation cases: the best checkpoint cannot be chosen. Index with a validation share."


def _classes(document: dict[str, Any]) -> Iterator[str]:
    total = _measured(document)
    for name, found in document["classes"].items():
        if not found["cases"]:
            yield f"No measured case holds {name}: it cannot be learnt."
            continue
        if found["cases"] < min(FEW_CASES, total):
            yield f"{name} is in only {found['cases']} of {total} cases."
        if found["pixel_share"] < RARE_SHARE:
            yield f"{name} is rare: {found['pixel_share']:.2%} of all pixels."
        areas = found["object_area_px"]
        if areas["p05"] <= SPECK_PX and areas["median"] > 25 * SPECK_PX:
            yield f"{name} has specks of a few pixels beside objects of {areas['median']:,.0f}: noise in the masks?"
        if found["holes_share"]["p95"] > RAGGED_SHARE:
            yield f"{name} has holes of more than {RAGGED_SHARE:.0%} of its area in some cases: unfinished masks?"
    for inner, outer in document["inside_class"]:
        yield f"{inner} lies within {outer} in all cases or nearly all."


def _pictures(document: dict[str, Any]) -> Iterator[str]:
    total = _measured(document)
    stored, spacing = document["stored"], document["spacing_mm"]
    if not spacing["known"]:
        yield "No picture says how large its pixels are: distances will be in pixels."
    elif spacing["known"] < total:
        yield f"Only {spacing['known']} of {total} pictures say how large their pixels are: the others are in pixels."
    elif spacing["x"]["max"] > 2 * spacing["x"]["min"]:
        low, high = spacing["x"]["min"], spacing["x"]["max"]
        yield f"Pixels are {low:.3g} to {high:.3g} mm wide: the same organ has many sizes in pixels."
    if 0 < stored["colour"] < total:
        yield f"{stored['colour']} of {total} pictures are coloured, the others grey."
    if len(stored["dtypes"]) > 1:
        yield f"Pictures are stored in several types ({', '.join(stored['dtypes'])}): their values may not compare."
    for end, share in (("lowest", "saturated_low"), ("highest", "saturated_high")):
        part = document["intensity"][share]
        if part is not None and part > SATURATED:
            yield f"{part:.0%} of the pixels lie at their picture's {end} value: blank borders, or cut off."


def _measured(document: dict[str, Any]) -> int:
    """Number of cases that were measured: those of the measured parts but for files that could not be read."""
    announced = sum(document["cases"][part] for part in document["measured"])
    return int(document.get("measured_cases", announced))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
