"""How stored mask pixels become class indices: the label coding of each item, and guessing it from a set's masks."""

from pipeline.labels.coding import LabelCoding, nearest_colour, parse_colour, rgb_of
from pipeline.labels.guess import MaskHistogram, colour_clusters, colour_name, guess_coding

__all__ = [
    "LabelCoding",
    "MaskHistogram",
    "colour_clusters",
    "colour_name",
    "guess_coding",
    "nearest_colour",
    "parse_colour",
    "rgb_of",
]
