"""Segment new images with a bundle; masks come back on the grid of each source."""

from pipeline.tasks.infer.gating import Judged
from pipeline.tasks.infer.outcome import InferenceResult
from pipeline.tasks.infer.retrieved import FromArchive
from pipeline.tasks.infer.returned import Returned
from pipeline.tasks.infer.run import infer
from pipeline.tasks.infer.sources import Refusal

__all__ = ["FromArchive", "InferenceResult", "Judged", "Refusal", "Returned", "infer"]
