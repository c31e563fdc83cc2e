"""What all pages stand on."""

import base64
import io

import jinja2
import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from pipeline.report import page
from pipeline.report.page import number, percent, picture_uri, render, write_page


@pytest.fixture
def templates(tmp_path, monkeypatch):
    """A folder of templates beside the real ones; gives a function that renders one."""
    page._environment.cache_clear()
    both = jinja2.FileSystemLoader([tmp_path, page.TEMPLATES])
    monkeypatch.setattr(page.jinja2, "FileSystemLoader", lambda _: both)
    yield lambda text, **content: ((tmp_path / "t.html.j2").write_text(text), render("t.html.j2", **content))[1]
    page._environment.cache_clear()


BASE = '{% extends "base.html.j2" %}{% import "parts.html.j2" as parts %}{% block title %}T{% endblock %}'


def test_sections_make_the_table_of_contents(templates):
    html = templates(
        BASE + '{% block content %}<h2 id="a">First & <em>best</em></h2><h2 id="b">Second</h2>{% endblock %}'
    )
    assert '<a href="#a">First &amp; best</a>' in html
    assert html.index('<a href="#a">') < html.index('<a href="#b">') < html.index('<h2 id="a">')


def test_one_section_needs_no_contents(templates):
    assert "<nav" not in templates(BASE + '{% block content %}<h2 id="a">Only</h2>{% endblock %}')


def test_text_is_escaped_and_markup_is_not(templates):
    html = templates(BASE + "{% block content %}{{ a }}{{ b }}{% endblock %}", a="<i>&", b=Markup("<b>"))
    assert "&lt;i&gt;&amp;<b>" in html


def test_a_name_that_is_missing_is_an_error(templates):
    with pytest.raises(jinja2.UndefinedError, match="nothing"):
        templates(BASE + "{% block content %}{{ nothing }}{% endblock %}")


def test_tables_name_their_rows_and_scroll_in_their_box(templates):
    text = '{% block content %}{{ parts.table(["class", "n"], [["<lung>", 3]], "Counts") }}{% endblock %}'
    html = templates(BASE + text)
    assert '<th scope="row">&lt;lung&gt;</th><td class="n">3</td>' in html
    assert '<div class="scroll" tabindex="0" role="region" aria-label="Counts">' in html


@pytest.mark.parametrize("shape", [(40, 25), (40, 25, 3)])
def test_a_picture_comes_back_upright(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    uri = picture_uri(picture, image_format="PNG")
    kind, _, content = uri.partition(",")
    assert kind == "data:image/png;base64"
    stored = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    np.testing.assert_array_equal(stored.swapaxes(0, 1), picture)


def test_a_large_picture_is_shrunk_and_a_small_one_is_left():
    def size_of(longest):
        content = picture_uri(np.zeros((200, 50), np.uint8), longest=longest).partition(",")[2]
        return Image.open(io.BytesIO(base64.b64decode(content))).size

    assert (size_of(100), size_of(500)) == ((100, 25), (200, 50))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, "–"), (float("nan"), "–"), (0, "0"), (1, "1"), (0.8, "0.800"), (0.91234, "0.912"), (12.345, "12.3")),
        *((1234567, "1\u202f234\u202f567"), (12345.678, "12\u202f346"), (-0.5, "−0.500"), (1.814e-5, "1.81e−05")),
    ],
)
def test_numbers_are_written_for_people(value, text):
    assert number(value) == text


def test_shares_are_percentages():
    assert (percent(0.1234), percent(None), percent(1, 0)) == ("12.3\u00a0%", "–", "100\u00a0%")


def test_a_page_is_written_whole(tmp_path):
    write_page(tmp_path / "deep" / "page.html", "<p>ü</p>")
    assert (tmp_path / "deep" / "page.html").read_bytes() == "<p>ü</p>".encode()


def test_text_and_ground_have_contrast_enough():
    """WCAG 2.1 AA: 4.5 between text and what lies behind it, in light and in dark."""
    import re

    def luminance(colour):
        channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    css = (page.TEMPLATES / "page.css").read_text()
    schemes = [
        dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]
    assert len(schemes) == 2
    for scheme in schemes:
        for name in ("ink", "soft", "link", "good", "bad", "mark"):
            for behind in ("ground", "panel"):
                light, dark = sorted((luminance(scheme[name]), luminance(scheme[behind])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, behind)
