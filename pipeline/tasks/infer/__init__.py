"""Segment new images with a bundle; masks come back on the grid of each source."""

from pipeline.tasks.infer.gating import Judged
from pipeline.tasks.infer.outcome import InferenceResult
from pipeline.tasks.infer.run import infer
from pipeline.tasks.infer.sources import Refusal

__all__ = ["InferenceResult", "Judged", "Refusal", "infer"]
