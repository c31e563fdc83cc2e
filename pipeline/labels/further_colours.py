"""Colours of classes beyond the few that are apart for the colour-blind too."""

from __future__ import annotations

__all__ = ["FURTHER_COLOURS"]

# Of matplotlib's qualitative colour maps, each in turn the one that is farthest (CIEDE2000) from those before it, the
# colours of Okabe and Ito, the blue of references and the greys of films. More of them are hard to tell apart.
FURTHER_COLOURS = (
    (106, 61, 154),
    (152, 223, 138),
    (140, 109, 49),
    (132, 60, 57),
    (255, 152, 150),
    (141, 211, 199),
    (99, 121, 57),
    (253, 208, 162),
    (156, 158, 222),
    (102, 166, 30),
    (217, 95, 2),
    (240, 2, 127),
    (148, 103, 189),
    (247, 182, 210),
)
