"""Fit a bundle's gate to predictions whose Dice is known."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.atomic import write_text_aside
from pipeline.bundle import find_bundle
from pipeline.datalist import Datalist, load_cases, read_datalist, subject_of
from pipeline.digests import file_sha256
from pipeline.errors import InvalidDatalist, InvalidOption, OutputExists
from pipeline.gate import gate_path
from pipeline.tasks.calibrate.dice import fit_dice
from pipeline.tasks.evaluate import compare_classes, require_weights
from pipeline.tasks.resuming import cross_validated_on
from pipeline.tasks.workflow import quiet_libraries

if TYPE_CHECKING:
    from pipeline.gate import Gate
    from pipeline.tasks.calibrate.observing import Sample

__all__ = ["CalibrationResult", "calibrate"]

# As many predictions as a calibration aims at, and the most that are made of one picture.
PREDICTIONS = 300
MOST_VARIANTS = 16
MOST_PICTURES = 300
MOST_REFERENCES = 400
FEWEST_REFERENCES = 5
# The distance up to which pictures are accepted, where 1 is as far as all but 1 % of held-out pictures of the set
# itself: another hospital's pictures lie a little further out and are still pictures of the task.
DISTANCE_LIMIT = 1.2

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class CalibrationResult:
    """What a calibration came to.

    Attributes:
        path: The gate.
        gate: Its content.
        notes: What the user should know.
        seconds: Duration, s.
    """

    path: Path
    gate: Gate
    notes: tuple[str, ...]
    seconds: float


def calibrate(
    name_or_path: str,
    datalist: Path,
    split: str = "validation",
    *,
    minimum_dice: float | None = None,
    risk: float = 0.05,
    variants: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    on_progress: OnProgress = lambda stage, done, total: None,
) -> CalibrationResult:
    """Fit the gate of a bundle and write it to the bundle's models/gate.json.

    Args:
        name_or_path: The bundle, with trained weights.
        datalist: `datalist.json`; its training part is what pictures are compared with.
        split: Part whose predictions the gate is fitted to; the network should not have been trained on it.
        minimum_dice: What an accepted prediction should have; default: the 5th percentile of the part's own, but not
            less than a half.
        risk: Share of the accepted that may fall short of it.
        variants: How often each picture is predicted made worse; default: as fits `PREDICTIONS`.
        seed: Of what is done to them.
        overwrite: Whether to replace a gate.
        on_progress: Called with the stage, and what of it is done, and all.

    Raises:
        InvalidBundle, InvalidDatalist, InvalidOption, MissingFile, OutputExists: before anything is computed.
    """
    began = time.perf_counter()
    bundle = find_bundle(name_or_path)
    labels = bundle.labels("inference")
    items = _spread(load_cases(datalist, split), MOST_PICTURES)
    known = _spread(load_cases(datalist, "training", labelled=False), MOST_REFERENCES)
    if len(known) < FEWEST_REFERENCES:
        raise InvalidDatalist(
            f"{datalist}: {len(known)} training cases; expected at least {FEWEST_REFERENCES} to compare pictures with. "
            "Give the datalist that the bundle was trained on."
        )
    if not 0 < risk < 1 or not (minimum_dice is None or 0 < minimum_dice < 1):
        raise InvalidOption("--risk and --minimum-dice are shares; expected numbers between 0 and 1.")
    notes = compare_classes(bundle, labels, datalist)
    require_weights(bundle, bundle.weights)
    if cross_validated_on(bundle, read_datalist(datalist), split):
        raise InvalidOption(
            f"{datalist}: {bundle.name} was cross-validated on its training and validation cases, each of which has "
            "trained all networks but one: a gate fitted to them would hope too much. Give cases that none has seen, "
            "such as --split test or another datalist."
        )
    path = gate_path(bundle)
    if path.exists() and not overwrite:
        raise OutputExists(f"{path} exists. Give --overwrite to replace it.")
    if split != "validation":
        notes.append(_about(split))
    variants = min(MOST_VARIANTS, -(-PREDICTIONS // len(items)) - 1) if variants is None else variants
    with quiet_libraries():
        gate, more = _fit(bundle.root, datalist, split, items, known, variants, seed, (minimum_dice, risk), on_progress)
    text = json.dumps(gate.document(), indent=1, allow_nan=False, ensure_ascii=False)
    write_text_aside(path, text + "\n")
    return CalibrationResult(path, gate, (*notes, *more), time.perf_counter() - began)


def _fit(
    root: Path,
    datalist: Path,
    split: str,
    items: Sequence[dict[str, Any]],
    known: Sequence[dict[str, Any]],
    variants: int,
    seed: int,
    aims: tuple[float | None, float],
    on_progress: OnProgress,
) -> tuple[Gate, list[str]]:
    from pipeline.gate import Gate, Reference, broken_rules, held_out_distances, read_rules, settings_sha256
    from pipeline.tasks.calibrate.observing import layers_of, reference_vectors, samples, views_for
    from pipeline.tasks.calibrate.scoring import References
    from pipeline.tasks.infer.predictor import Predictor
    from pipeline.tasks.infer.watching import Watch

    bundle = find_bundle(str(root))
    labels = bundle.labels("inference")
    rules = read_rules(root / "configs" / "quality.yaml", labels)
    predict = Predictor(bundle, (bundle.weights,), {})
    views = views_for(predict)
    layers = layers_of(predict, known[0]["image"])
    vectors = reference_vectors(
        predict, layers, [item["image"] for item in known], _counter("Training pictures", len(known), on_progress)
    )
    watch = Watch(predict.inferer, predict.network, predict.device, views, layers)
    made = list(
        samples(
            predict,
            watch,
            References(len(labels)),
            partial(broken_rules, labels=labels, rules=rules),
            items,
            variants,
            seed,
            _counter("Calibration", len(items) * (1 + variants), on_progress),
        )
    )
    clean = np.array([not sample.degraded for sample in made])
    reference = Reference.of(layers, vectors)
    subjects = [subject_of(item) for item in known]
    if len(set(subjects)) < FEWEST_REFERENCES:
        subjects = [str(item["image"]) for item in known]
    apart = reference.distances([np.concatenate(parts) for parts in zip(*(s.seen.vectors for s in made), strict=True)])
    own = np.concatenate([held_out_distances(layers, vectors, subjects), apart[clean]])
    unit = float(np.quantile(own, 0.99))
    reference = Reference.of(layers, vectors, unit)
    limit = rules.limits.get("distance", DISTANCE_LIMIT)
    fitted = fit_dice(made, labels, apart / unit <= limit, aims)
    origin = read_datalist(datalist)
    record = {
        "bundle": bundle.name,
        "checkpoint_sha256": file_sha256(bundle.weights),
        "settings_sha256": settings_sha256(bundle),
        "fitted_on": {
            **_origin(origin, split, items),
            "predictions": len(made),
            "made_worse": int((~clean).sum()),
            "seed": seed,
            "compared_with": _origin(origin, "training", known),
        },
        **fitted.record,
    }
    gate = Gate(
        labels=labels,
        models=fitted.models,
        band=fitted.band,
        reference=reference,
        views=views,
        dice_limit=fitted.limit,
        distance_limit=DISTANCE_LIMIT,
        rules=rules,
        record=record,
    )
    return gate, [*fitted.notes, *_implausible(made)]


def _implausible(made: Sequence[Sample]) -> list[str]:
    """Rules that the reference masks themselves break: they would send right masks to review."""
    broken = [sample.broken for sample in made if sample.broken]
    if not broken:
        return []
    masks = sum(not sample.degraded for sample in made)
    return [
        f"{len(broken)} of {masks} reference masks break a rule of configs/quality.yaml, such as: {broken[0][0]} "
        "Loosen it if they are right."
    ]


def _spread(items: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most so many items, evenly from the list."""
    return items if len(items) <= most else [items[k * len(items) // most] for k in range(most)]


def _origin(datalist: Datalist, part: str, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a part of a calibration came from; of the pictures no more than one digest of all."""
    digests = sorted(str(item.get("image_sha256", "")) for item in items)
    return {
        "data": datalist.name,
        "part": part,
        "images": len(items),
        "subjects": len({subject_of(item) for item in items}),
        "images_sha256": hashlib.sha256("\n".join(digests).encode("ascii")).hexdigest(),
    }


def _counter(stage: str, total: int, on_progress: OnProgress) -> Callable[[], None]:
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        on_progress(stage, count, total)

    return step


def _about(split: str) -> str:
    if split == "training":
        return (
            "The network was trained on these pictures: it does better on them than on others, and the gate hopes so."
        )
    return "The gate has now seen the test part: its figures on that part are no test any more."
