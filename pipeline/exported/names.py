"""Names of a program's inputs and outputs, for those who make it and those who run it."""

from __future__ import annotations

__all__ = ["FEATURES", "FOUND", "IMAGE", "INPUT", "MASK", "MOVED", "PROBABILITIES", "SCORES", "SIZE"]

# Inputs: a decoded picture, (C, W, H), and the (W, H) that it is brought to, if it is.
IMAGE, SIZE = "image", "size"
# The network's own input, (1, C, W, H), and its class probabilities on that grid, (1, classes, W, H).
INPUT, SCORES = "network_input", "scores"
# On the picture's grid, (W, H) and (classes, W, H).
MASK, PROBABILITIES = "mask", "probabilities"
# Of the gate: the mask moved as the picture was, the mask of the moved picture, and pooled layers; numbered.
MOVED, FOUND, FEATURES = "moved_", "found_", "features_"
