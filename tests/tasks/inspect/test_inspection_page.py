"""The page of an inspection: one file, complete, and safe with any name."""

import re
from html.parser import HTMLParser

import pytest

from pipeline.errors import OutputExists
from pipeline.tasks.inspect import inspect_set
from pipeline.tasks.inspect.page import write_inspection_page


class Outline(HTMLParser):
    """Tags that are open at the end, ids, links, and pictures without a text for those who cannot see them."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.targets, self.mute, self.sources = [], [], [], 0, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.targets.append(given["href"])
        if tag == "img":
            self.mute += not given.get("alt")
            self.sources.append(given["src"])

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(kept_set):
    path = kept_set.with_name("page.html")
    write_inspection_page(inspect_set(kept_set, workers=1), path)
    return path.read_text(encoding="utf-8")


def test_the_page_is_whole_and_its_links_lead_somewhere(page):
    outline = Outline(page)
    assert outline.open == []
    assert len(set(outline.ids)) == len(outline.ids)
    assert outline.targets
    assert {target[1:] for target in outline.targets} <= set(outline.ids)
    assert outline.mute == 0


def test_the_page_asks_nothing_of_a_network(page):
    assert all(source.startswith("data:image/webp;base64,") for source in Outline(page).sources)
    assert not re.findall(r"(?:https?:)?//[a-z]", re.sub(r"base64,[A-Za-z0-9+/=]+", "", page))
    assert "default-src 'none'" in page


def test_names_cannot_break_the_page(page):
    assert "small &lt;set&gt;" in page
    assert "<set>" not in page


def test_the_page_shows_pairs_cases_refusals_and_what_is_remarkable(page):
    text = re.sub(r"\s+", " ", page)
    assert "1 pair of nearly the same pictures" in text
    assert "copy, agreement" in text
    assert "mirrored left to right" in text
    assert "<strong>typical</strong>" in text
    assert "smallest foreground" in text
    assert "unreadable: 1" in text
    assert "stray values: 12" in text
    assert "and 4 more, listed in the datalist" in text
    assert "Only 6 subjects to train on" in text


def test_the_same_set_gives_the_same_bytes(page, kept_set, tmp_path):
    inspection = inspect_set(kept_set, workers=1)
    write_inspection_page(inspection, tmp_path / "page.html")
    with pytest.raises(OutputExists, match="--overwrite"):
        write_inspection_page(inspection, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page


def test_folders_of_the_machine_are_not_named(page, kept_set):
    assert str(kept_set.parent) not in page
    assert "set/images" not in page
