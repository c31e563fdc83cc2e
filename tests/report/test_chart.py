from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree

import pytest

from pipeline.report.chart import Axis, Chart, tick_texts, ticks


def drawn(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(str(chart.svg("A chart")))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.93, 0.98, [0.93, 0.94, 0.95, 0.96, 0.97, 0.98]),
        (-25.2, 2.5, [-20.0, -10.0, 0.0]),
        (0.0, 1200.0, [0.0, 500.0, 1000.0]),
        (3.0, 3.0, [3.0]),
    ],
)
def test_ticks_are_round_numbers_within_the_axis(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.8, 0.85, 1.0], ["0.80", "0.85", "1.00"]),
        ([-10.0, 0.0, 10.0], ["−10", "0", "10"]),
        ([0.0, 20000.0, 3e6], ["0", "20 k", "3 M"]),
        ([0.0, 0.0005], ["0", "5e−4"]),
        ([], []),
    ],
)
def test_ticks_of_one_axis_are_written_alike(values: list[float], expected: list[str]) -> None:
    assert tick_texts(values) == expected


def test_an_axis_holds_its_values_with_a_margin_but_not_beyond_an_end_that_is_named() -> None:
    axis = Axis.around("Dice", [0.5, 0.9, math.nan], include=(1.0,))
    assert axis.high == 1.0
    assert 0.4 < axis.low < 0.5
    assert (axis.share(axis.low), axis.share(1.0)) == (0.0, 1.0)


@pytest.mark.parametrize("values", [[], [math.nan], [0.0, 0.0], [7.0]])
def test_an_axis_of_no_extent_is_no_trouble(values: list[float]) -> None:
    axis = Axis.around("anything", values)
    assert axis.low < axis.high


def test_a_logarithmic_axis_goes_by_factors_and_knows_no_zero() -> None:
    axis = Axis("pixels", 10.0, 1000.0, log=True)
    assert [axis.share(value) for value in (10.0, 100.0, 1000.0)] == pytest.approx([0.0, 0.5, 1.0])
    assert math.isnan(axis.share(0.0))
    assert axis.tick_values == [10.0, 30.0, 100.0, 300.0, 1000.0]
    narrow = Axis.by_factors("pixels", [410.0, 460.0])
    assert len(narrow.tick_values) > 1
    assert all(narrow.low <= value <= narrow.high for value in narrow.tick_values)


def test_a_dot_lies_where_its_values_are_and_says_what_it_is() -> None:
    chart = Chart(Axis("x", 0.0, 10.0), Axis("y", 0.0, 1.0))
    chart.dots([(0.0, 0.0, "left below"), (10.0, 1.0, "right above"), (math.nan, 0.5, "nowhere")], "#123456")
    found = [element for element in drawn(chart).iter() if "data-tip" in element.attrib]
    assert [element.attrib["data-tip"] for element in found] == ["left below", "right above"]
    (left, below), (right, above) = (map(float, re.findall(r"[\d.]+", e.attrib["d"])[:2]) for e in found)
    assert left < right
    assert below > above


def test_text_from_outside_stays_text() -> None:
    chart = Chart(Axis("<b>x</b>", 0.0, 1.0), Axis("y & z", 0.0, 1.0))
    chart.dots([(0.5, 0.5, '"><script>alert(1)</script>')], "red", name="<i>")
    chart.rule(x=0.2, name="<u>")
    svg = str(chart.svg('a "chart"'))
    assert not re.search(r"<(b|i|u|script)>", svg)
    assert '"><script>alert(1)</script>' in [e.attrib.get("data-tip") for e in ElementTree.fromstring(svg).iter()]


def test_a_line_is_interrupted_where_a_value_is_missing() -> None:
    chart = Chart(Axis("x", 0.0, 4.0), Axis("y", 0.0, 1.0))
    chart.line([(0, 0.1), (1, 0.2), (2, math.nan), (3, 0.3), (4, 0.4)], "#abcdef")
    (path,) = [e.attrib["d"] for e in drawn(chart).iter() if e.attrib.get("stroke") == "#abcdef"]
    assert path.count("M") == 2
    assert path.count("L") == 2


def test_the_key_names_each_series_and_makes_room_for_itself() -> None:
    chart = Chart(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
    bare = drawn(chart).attrib["viewBox"].split()
    for number in range(9):
        chart.line([(0, 0), (1, 1)], "#000001", name=f"a series with a long name {number}")
    svg = drawn(chart)
    texts = [element.text for element in svg.iter() if element.tag.endswith("text")]
    assert sum("series" in (text or "") for text in texts) == 9
    assert float(svg.attrib["viewBox"].split()[3]) >= float(bare[3]) + 3 * 16


def test_the_same_figures_give_the_same_bytes() -> None:
    def made() -> str:
        chart = Chart(Axis.around("x", [1 / 3, 2 / 3]), Axis.around("y", [1 / 7, 1.0]))
        chart.bars([(0.3, 0.5, 0.4)], "grey")
        chart.band([(0.3, 0.1, 0.2), (0.6, 0.2, 0.5)], "grey")
        chart.diagonal()
        chart.dots([(1 / 3, 1 / 7, "dot")], "red", shape=3)
        return str(chart.svg("same"))

    assert made() == made()
