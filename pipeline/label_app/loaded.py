"""A bundle's network with the weights of a moment, and the gate that judges what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.bundle import Bundle

if TYPE_CHECKING:
    from pipeline.gate import Gate, Verdict
    from pipeline.tasks.infer.archive import Model
    from pipeline.tasks.infer.predictor import Predictor
    from pipeline.tasks.infer.watching import Watch

__all__ = ["NOT_JUDGED", "Loaded", "load"]

# The decision of a gate that was not asked, or is not there.
NOT_JUDGED = "not judged"


@dataclass(frozen=True, eq=False)
class Loaded:
    """A network that is ready to predict.

    Attributes:
        predict: The bundle's inference.
        model: In DICOM's words.
        gate: Which judges what comes out, or None.
        watch: What the gate judges by, or None.
        why_not: Why there is no gate.
    """

    predict: Predictor
    model: Model
    gate: Gate | None
    watch: Watch | None
    why_not: str

    def judging(self, wanted: bool) -> Loaded:
        """The same, with the gate's looks at changed pictures or without them; for one prediction at a time."""
        if self.watch is not None:
            self.predict.inferer = self.watch if wanted else self.watch.inferer
        return self if wanted else replace(self, gate=None, watch=None, why_not="The gate was not asked.")

    def quality(self, verdicts: Sequence[Verdict]) -> dict[str, Any]:
        """What the gate says of an image, as `planar infer` writes it beside the mask."""
        from pipeline.tasks.infer.quality import quality_document, verdict_of_volume

        if self.gate is None:
            return {"decision": NOT_JUDGED, "reasons": [self.why_not]}
        document = quality_document(self.gate, verdict_of_volume(self.gate, verdicts), verdicts, ())
        del document["masks"]
        return document


def load(bundle: Bundle, settings: Mapping[str, Any], flips: bool) -> Loaded:
    """Load a bundle's weights, and its gate if it has one that was fitted to them.

    Args:
        bundle: With weights.
        settings: Of its inference config, such as the device.
        flips: Whether to average over its flips; the gate was fitted to predictions that do.
    """
    from pipeline.tasks.infer.archive import model_of
    from pipeline.tasks.infer.gating import gate_of
    from pipeline.tasks.infer.predictor import Predictor
    from pipeline.tasks.infer.quality import watched_predictor

    weights = (bundle.weights,)
    model = model_of(bundle, weights, bundle.labels("inference"))
    gate, why_not = gate_of(bundle, not flips)
    if gate is None:
        return Loaded(Predictor(bundle, weights, settings, test_time_flips=flips), model, None, None, why_not)
    predict, watch = watched_predictor(bundle, gate, settings)
    return Loaded(predict, model, gate, watch, "")
