"""How stored mask pixels become class indices (each item's label coding, or guessed), and which classes have a side."""

from pipeline.labels.coding import GREY_TOLERANCE, LabelCoding, nearest_colour, parse_colour, rgb_of
from pipeline.labels.guess import MaskHistogram, colour_clusters, colour_name, guess_coding
from pipeline.labels.segments import classes_of_segments, segments_coding
from pipeline.labels.sides import has_sides, label_words

__all__ = [
    "GREY_TOLERANCE",
    "LabelCoding",
    "MaskHistogram",
    "classes_of_segments",
    "colour_clusters",
    "colour_name",
    "guess_coding",
    "has_sides",
    "label_words",
    "nearest_colour",
    "parse_colour",
    "rgb_of",
    "segments_coding",
]
