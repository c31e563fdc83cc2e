"""What the labelling benchmark makes of what it has seen."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.labelling.films import copy_films, make_films
from benchmarks.labelling.steadiness import growth, memory_of
from benchmarks.labelling.table import chart, markdown
from pipeline.errors import MissingFile
from pipeline.readers import read_picture


def test_memory_that_grows_has_a_slope_and_memory_that_is_flat_has_none() -> None:
    # Loading in the first quarter is no growth.
    loading = [(float(s), 100.0 + 10 * s) for s in range(50)]
    flat = growth([*loading, *((float(s), 600.0) for s in range(50, 200))])
    assert flat["mib_a_minute"] == pytest.approx(0)
    assert flat["begin_mib"] == flat["end_mib"] == flat["most_mib"] == 600
    leaking = growth([*loading, *((float(s), 600.0 + 0.5 * (s - 50)) for s in range(50, 200))])
    assert leaking["mib_a_minute"] == pytest.approx(30)
    assert leaking["end_mib"] - leaking["begin_mib"] == pytest.approx(50)


def test_the_memory_of_a_process_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.labelling.steadiness.EVERY_S", 0.01)
    with memory_of(os.getpid()) as samples:
        while len(samples) < 2:
            pass
    assert all(mib > 1 for _, mib in samples)


def test_films_of_all_kinds_are_made_and_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.labelling.films.SIZES", (64,))
    make_films(tmp_path / "studies")
    made = [path for path in (tmp_path / "studies").rglob("*") if path.is_file()]
    assert {path.suffix for path in made} >= {".png", ".jpg", ".tif", ".dcm"}
    assert all(read_picture(path).array.size for path in made)


def test_originals_get_no_labels_beside_them(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "films" / "a.png")
    (tmp_path / "films" / "notes.txt").write_text("no picture")
    copy_films([tmp_path / "films"], tmp_path / "copies")
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["a.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFile, match="no films"):
        copy_films([tmp_path / "empty"], tmp_path / "none")


def test_the_table_tells_failures_by_kind() -> None:
    document = {
        "bundle": "lungs",
        "clients": 4,
        "minutes": 10,
        "images": 12,
        "kinds": "12 png",
        "note": "",
        "load_before": 0.1,
        "machine": {"processor": "a processor", "cores": 2},
        "inferences": 100,
        "saved": 20,
        "failures": [[1.0, "infer", "TimeoutError"], [2.0, "infer", "TimeoutError"]],
        "errors_in_log": 0,
        "seconds": {name: {"median": 1.0, "p95": 2.0} for name in ("waited", "computed")},
        "memory": {"begin_mib": 600.0, "end_mib": 601.0, "most_mib": 610.0, "mib_a_minute": 0.1},
        "memory_over_time": [[1.0, 500.0], [2.0, 600.0]],
    }
    page = markdown(document)
    assert "| failures | 2 |" in page and page.count("TimeoutError") == 1
    assert "10.0 a minute" in page
    assert ET.fromstring(chart(document)).tag.endswith("svg")
