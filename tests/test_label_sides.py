"""Classes that are a left or a right one, however they are written."""

import pytest

from pipeline.labels import has_sides, plain_name


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


@pytest.mark.parametrize(
    "name", ["left_lung", "Left Lung", "LungLeft", "lung-left", "lung_l", "LLung", "leftlung", "lungleft"]
)
def test_a_name_is_the_same_in_any_spelling_and_not_the_other_sides(name):
    assert plain_name(name) == plain_name("left lung")
    assert plain_name(name) != plain_name("right lung")


@pytest.mark.parametrize(
    ("one", "other"), [("lung", "lung field"), ("lobe 1", "lobe 2"), ("+", "-"), ("Herz", "Niere")]
)
def test_other_names_stay_others(one, other):
    assert plain_name(one) != plain_name(other)
