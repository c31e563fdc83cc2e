"""When two class names are one."""

import unicodedata

import pytest

from pipeline.labels import class_key, plain_name, repeated_class

DECOMPOSED = unicodedata.normalize("NFD", "Lungenflügel")


@pytest.mark.parametrize("name", ["lungenflügel", DECOMPOSED, " LUNGENFLÜGEL "])
def test_a_class_is_the_same_in_capitals_with_spaces_and_in_any_unicode_form(name):
    assert class_key(name) == class_key("Lungenflügel")


@pytest.mark.parametrize(("one", "other"), [("CD3+", "CD3-"), ("left lung", "left_lung"), ("lung1", "lung2")])
def test_signs_make_another_class(one, other):
    assert class_key(one) != class_key(other)


def test_the_second_of_two_names_of_one_class_is_found():
    assert repeated_class(["background", "lung", "heart", "Lung"]) == "Lung"
    assert repeated_class(["background", "lung", "heart"]) is None


def test_a_plain_name_is_the_same_in_any_unicode_form():
    assert plain_name(DECOMPOSED) == plain_name("Lungenflügel")
