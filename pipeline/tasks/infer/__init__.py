"""Segment new images with a bundle; masks come back on the grid of each source."""

from pipeline.tasks.infer.run import InferenceResult, Refusal, infer

__all__ = ["InferenceResult", "Refusal", "infer"]
