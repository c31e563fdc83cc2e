"""Rules of plausibility from a fingerprint, for a new bundle's quality.yaml."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.fingerprint import Fingerprint
from pipeline.gate.rules import rules_from

__all__ = ["default_rules"]

# Below so many cases "always" is only "so far".
ENOUGH_CASES = 10
NEARLY_ALL = 0.98


def default_rules(
    fingerprint: Fingerprint | Mapping[str, Any],
    labels: Sequence[str],
    spec_plausibility: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """The document of a quality.yaml: what the masks of the training and validation part look like, and some room.

    A range reaches beyond the least and the greatest that was seen by a factor that is larger the fewer cases there
    are. What the task spec says wins over what was measured.

    Args:
        fingerprint: Of the data set (a `Fingerprint` or its document).
        labels: Class names of the task, background first; as many as the data have, in their order.
        spec_plausibility: The task spec's `plausibility`, rules by class; a rule that is null drops the measured one.
    Returns: {"classes": {name: {rule: value}}}, checked.
    Raises: InvalidBundle: if the spec's rules are none.
    """
    measures = fingerprint.document if isinstance(fingerprint, Fingerprint) else fingerprint
    cases = fingerprint["cases"]
    announced = int(cases.get("training", 0)) + int(cases.get("validation", 0))
    total = int(measures.get("measured_cases", announced))
    classes: dict[str, Any] = {}
    # The data may write a class otherwise than the task does (Lung, lung): the place in the list tells them.
    named = dict(zip(fingerprint["labels"].values(), labels, strict=True))
    measured_as = {ours: theirs for theirs, ours in named.items()}
    for name in labels[1:]:
        measured = fingerprint["classes"].get(measured_as[name])
        found = _of_class(measured, total) if measured and measured.get("cases") else {}
        inner = [pair[1] for pair in fingerprint["inside_class"] if pair[0] == measured_as[name]]
        if inner:
            found["inside"] = named[inner[0]]
        wanted = dict((spec_plausibility or {}).get(name, {}))
        found = {key: value for key, value in {**found, **wanted}.items() if value is not None}
        classes[name] = {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}
    document = {"classes": classes}
    rules_from(document, dict(enumerate(labels)), "plausibility")
    return document


def _of_class(measured: Mapping[str, Any], total: int) -> dict[str, Any]:
    n = int(measured["cases"])
    room = 1.25 + 3 / math.sqrt(n)
    rules: dict[str, Any] = {}
    if n >= NEARLY_ALL * total and total >= ENOUGH_CASES:
        rules["present"] = "always"
    elif n < NEARLY_ALL * total:
        rules["present"] = "sometimes"
    objects, area, largest, holes = (
        measured[key] for key in ("counted_objects", "area_share", "largest_share", "holes_share")
    )
    low, high = objects["p05"], objects["p95"]
    exact = objects["usual_share"] >= NEARLY_ALL and n >= ENOUGH_CASES
    # Of many small objects each counts as a speck: nothing is said of their number then.
    countable = low >= 1
    if countable:
        rules["objects"] = (
            [round(objects["median"])] * 2 if exact else [max(1, math.floor(low / room)), math.ceil(high * room)]
        )
    rules["area_share"] = [_two_digits(area["min"] / room), _two_digits(min(1.0, area["max"] * room))]
    if countable and high < 10:  # of many objects the largest may be anything
        # Room on both sides is room for what is missing from it.
        top = 1 - (1 - largest["p95"]) / room if largest["p95"] < 0.95 else 1.0
        rules["largest_share"] = [_two_digits(largest["p05"] / room), _two_digits(top)]
        rules["specks"] = 0.1
    rules["holes"] = _two_digits(max(0.05, holes["max"] * room))
    if measured["touches_border"] < 1 - NEARLY_ALL:
        rules["border"] = 0.1
    return rules


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")
