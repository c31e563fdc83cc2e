"""The table and the chart of the active-learning benchmark."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.active_learning.__main__ import command
from benchmarks.active_learning.outcome import ALL, chart, markdown, summary
from pipeline.errors import InvalidOption, MissingExtra
from pipeline.label_app import start

ROWS = [
    {"seed": seed, "strategy": strategy, "labels": labels, "test": test + 0.02 * seed, "external": test - 0.1}
    for seed in (0, 1)
    for strategy, labels, test in (
        ("random", 10, 0.80),
        ("random", 20, 0.84),
        ("both", 10, 0.80),
        ("both", 20, 0.90),
        (ALL, 300, 0.95),
    )
]
DOCUMENT = {
    "data": "one",
    "external": "others",
    "cases": {"pool": 300, "test": 7, "external": 5},
    "seeds": 2,
    "pictures": 4000,
    "image_size": 128,
    "machine": {"processor": "a processor", "cores": 2},
    "seconds": 1800,
    "summary": summary(ROWS),
}


def test_each_strategy_has_its_mean_and_range_over_the_seeds() -> None:
    found = {(row["strategy"], row["labels"]): row for row in summary(ROWS)}
    assert set(found) == {("random", 10), ("random", 20), ("both", 10), ("both", 20), (ALL, 300)}
    best = found["both", 20]
    assert best["seeds"] == 2
    assert best["test"] == pytest.approx({"mean": 0.91, "min": 0.90, "max": 0.92})
    assert best["external"]["mean"] == pytest.approx(0.80)


def test_the_table_has_a_row_a_strategy_and_says_what_all_labels_give() -> None:
    page = markdown(DOCUMENT)
    assert "| labels | 10 | 20 |" in page
    assert "| both | 0.810 (0.800–0.820) | 0.910 (0.900–0.920) |" in page
    assert "All 300 films with labels: 0.960 (0.950–0.970)." in page
    assert "5 films of other hospitals (others)" in page
    alone = {**DOCUMENT, "cases": {"pool": 300, "test": 7}}
    assert "other hospitals" not in markdown(alone)


def test_the_chart_stands_alone() -> None:
    drawn = ET.fromstring(chart(DOCUMENT))
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    said = "".join(drawn.itertext())
    assert "both, other hospitals" in said and "all 300" in said and "films with labels" in said


def test_what_cannot_be_measured_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--data", str(tmp_path / "no.json"), "--out", str(tmp_path)]
    monkeypatch.setattr(start, "find_spec", lambda name: None)
    assert isinstance(CliRunner().invoke(command, arguments).exception, MissingExtra)
    for labels in ("10", "20,10", "1,2", "a,b"):
        assert isinstance(CliRunner().invoke(command, [*arguments, "--labels", labels]).exception, InvalidOption)
