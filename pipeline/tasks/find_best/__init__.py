"""From a cross-validation to one bundle: which networks, flipped or not, and what is done to their masks."""

from pipeline.tasks.find_best.run import Best, find_best

__all__ = ["Best", "find_best"]
