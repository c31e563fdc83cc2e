"""Classes that are a left or a right one, however they are written."""

import pytest

from pipeline.labels import has_sides


@pytest.mark.parametrize(
    "names",
    [
        ("left lung",),
        ("LeftLung",),
        ("right-kidney",),
        ("LUNG_LEFT",),
        ("Left2",),
        ("pulmo sinister",),
        ("lung_l", "lung_r"),
        ("lungL", "lungR"),
        ("L_lung", "R_lung"),
        ("LLung", "RLung"),
        ("kidney-L-cortex", "kidney-R-cortex"),
        ("leftlung", "rightlung"),
        ("L", "R"),
    ],
)
def test_a_side_is_seen_in_any_spelling(names):
    assert has_sides(("background", *names))


@pytest.mark.parametrize(
    "names",
    [("bright spot",), ("cleft",), ("upright",), ("lung_l",), ("cell", "nucleus"), ("liver", "river bed"), ("größe",)],
)
def test_what_only_looks_like_a_side_is_none(names):
    assert not has_sides(("background", *names))
