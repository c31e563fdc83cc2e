"""The font of pictures."""

from __future__ import annotations

import importlib.util

import pytest
from PIL import ImageFont

from pipeline import fonts
from pipeline.fonts import picture_font


@pytest.mark.parametrize(
    "text", ["lung", "–−≥±²", "cœur, Lungenflügel, płuco", "95\N{NARROW NO-BREAK SPACE}%", "лёгкое", "πνεύμονας"]
)
def test_letters_of_many_languages_are_drawn(text: str) -> None:
    font = picture_font(14)
    box = bytes(font.getmask("\uffff"))  # what is drawn for a character that is not there

    assert not [letter for letter in text if bytes(font.getmask(letter)) == box]


def test_without_matplotlib_pillows_own_font_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "find_spec", lambda name: None)

    assert picture_font(14).getlength("lung") == ImageFont.load_default(14).getlength("lung")
    assert importlib.util.find_spec("matplotlib") is not None
