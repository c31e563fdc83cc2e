"""The gate at work: a verdict for each picture, slice and volume, and its file beside the mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.bundle import Bundle
from pipeline.gate import Gate, Verdict
from pipeline.tasks.infer.prediction import Observation

if TYPE_CHECKING:
    from pipeline.tasks.infer.predictor import Predictor
    from pipeline.tasks.infer.watching import Watch

__all__ = ["QUALITY_FORMAT", "quality_document", "verdict_of", "verdict_of_volume", "watched_predictor"]

QUALITY_FORMAT = "planar-quality/1"
NOTE = (
    "Predicted, not measured: the Dice that masks with such signals had in calibration. The interval held there for "
    "its share of predictions; it promises nothing for pictures of a kind that calibration did not have."
)
# Numbers of slices that a reason names.
NAMED = 12


def watched_predictor(
    bundle: Bundle, gate: Gate, settings: Mapping[str, Any] = MappingProxyType({})
) -> tuple[Predictor, Watch]:
    """A bundle's predictor, and the watch that notes an observation of each of its predictions.

    Args:
        bundle: The bundle.
        gate: Its gate.
        settings: Of the inference config, such as its device; none that changes what comes out.
    """
    from pipeline.tasks.infer.predictor import Predictor
    from pipeline.tasks.infer.watching import Watch

    predict = Predictor(bundle, (bundle.weights,), settings)
    layers = [name for name, _ in gate.reference.layers]
    watch = Watch(predict.inferer, predict.network, predict.device, gate.views, layers)
    predict.inferer = watch
    return predict, watch


def verdict_of(gate: Gate, seen: Observation, mask: NDArray[np.uint8]) -> Verdict:
    """What the gate says of one picture's mask, (W, H)."""
    return gate.judge(seen.signals, float(gate.reference.distances(seen.vectors)[0]), mask)


def verdict_of_volume(gate: Gate, slices: Sequence[Verdict]) -> Verdict:
    """What the gate says of a volume: that of its one slice, or a summary of its slices.

    A volume needs review when more than the share `slices` of quality.yaml of its slices do.
    """
    if len(slices) == 1:
        return slices[0]
    bad = [number for number, verdict in enumerate(slices) if verdict.decision == "review"]
    reasons: tuple[str, ...] = ()
    if len(bad) > gate.rules.slices * len(slices):
        named = ", ".join(map(str, bad[:NAMED])) + (", …" if len(bad) > NAMED else "")
        reasons = (f"{len(bad)} of {len(slices)} slices need review ({named}). The first: {slices[bad[0]].reasons[0]}",)
    known = [verdict.predicted_dice for verdict in slices if verdict.predicted_dice is not None]
    predicted = float(np.mean(known)) if known else None
    names = list(slices[0].by_class)
    return Verdict(
        decision="review" if reasons else "accept",
        reasons=reasons,
        predicted_dice=predicted,
        interval=None,  # the band is one of single pictures
        by_class={name: _mean([verdict.by_class[name] for verdict in slices]) for name in names},
        distance=float(np.median([verdict.distance for verdict in slices])),
    )


def quality_document(gate: Gate, verdict: Verdict, slices: Sequence[Verdict], masks: Sequence[str]) -> dict[str, Any]:
    """The content of `<name>_quality.json`.

    Args:
        gate: Which judged.
        verdict: Of the whole.
        slices: Of each slice; one for a picture.
        masks: File names of the masks.
    """
    document = {
        "format": QUALITY_FORMAT,
        "masks": list(masks),
        **verdict.document(),
        "interval_level": gate.band.level,
        "limits": {"predicted_dice": round(gate.dice_limit, 4), "distance": round(gate.distance_limit, 4)},
        "bundle": gate.record["bundle"],
        "checkpoint_sha256": gate.record["checkpoint_sha256"],
        "calibrated_on": {key: gate.record["fitted_on"][key] for key in ("data", "part", "images", "subjects")},
        "note": NOTE,
    }
    if len(slices) > 1:
        document["slices"] = [{"slice": number, **one.document()} for number, one in enumerate(slices)]
    return document


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
