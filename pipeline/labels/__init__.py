"""How stored mask pixels become class indices (each item's label coding, or guessed), and which classes have a side."""

from pipeline.labels.class_names import class_key, repeated_class
from pipeline.labels.coding import GREY_TOLERANCE, LabelCoding, largest_difference, nearest_colour, parse_colour, rgb_of
from pipeline.labels.further_colours import FURTHER_COLOURS
from pipeline.labels.guess import colour_clusters, colour_name, guess_coding, surrounding_value, zero_may_be_the_object
from pipeline.labels.histogram import MaskHistogram
from pipeline.labels.segments import classes_of_segments, segments_coding
from pipeline.labels.sides import has_sides, label_words, plain_name

__all__ = [
    "FURTHER_COLOURS",
    "GREY_TOLERANCE",
    "LabelCoding",
    "MaskHistogram",
    "class_key",
    "classes_of_segments",
    "colour_clusters",
    "colour_name",
    "guess_coding",
    "has_sides",
    "label_words",
    "largest_difference",
    "nearest_colour",
    "parse_colour",
    "plain_name",
    "repeated_class",
    "rgb_of",
    "segments_coding",
    "surrounding_value",
    "zero_may_be_the_object",
]
