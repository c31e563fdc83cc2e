"""The benchmark of archives: its films, its clock and its page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from benchmarks.dicom import clock as clock_module
from benchmarks.dicom.clock import Clock
from benchmarks.dicom.films import make_films
from benchmarks.dicom.memory import watched
from benchmarks.dicom.table import markdown
from pipeline.readers import read_picture
from pipeline.tasks.phantom import make_phantoms


def test_films_are_compressed_in_turns_and_hold_the_same_pixels(tmp_path: Path) -> None:
    made = make_films(tmp_path / "made", 10, 64)
    make_phantoms(tmp_path / "plain", number=10, size=64, format="dicom")
    assert {"uncompressed", "RLE", "JPEG 2000"} <= set(made)
    assert sum(map(len, made.values())) == 10
    syntaxes = set()
    for path in (path for paths in made.values() for path in paths):
        syntaxes.add(pydicom.dcmread(path).file_meta.TransferSyntaxUID)
        plain = tmp_path / "plain" / "dicom" / path.name
        np.testing.assert_array_equal(read_picture(path).array, read_picture(plain).array)
        assert pydicom.dcmread(path).SOPInstanceUID == pydicom.dcmread(plain).SOPInstanceUID
    assert len(syntaxes) == len(made)


def test_a_part_does_not_count_what_it_calls_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(clock_module.time, "perf_counter", lambda: now[0])

    def passing(seconds: float) -> None:
        now[0] += seconds

    clock = Clock()
    inner = clock.timed("inner", passing)

    def work() -> None:
        passing(1.0)
        inner(2.0)
        inner(4.0)

    clock.timed("outer", work)()
    assert dict(clock.seconds) == {"inner": 6.0, "outer": 1.0}
    assert dict(clock.calls) == {"inner": 2, "outer": 1}


def test_memory_is_that_of_a_process_and_nothing_when_it_is_gone() -> None:
    import os
    import time

    with watched({"here": os.getpid(), "gone": 2**22 + 1}) as peaks:
        until = time.monotonic() + 30
        while "gone" not in peaks.mib and time.monotonic() < until:
            time.sleep(0.01)
    assert peaks.mib["here"] > 1
    assert peaks.mib["gone"] == 0


def test_the_page_says_how_fast_and_what_took_the_time() -> None:
    run = {
        "segmented": 300,
        "loop_s": 50.0,
        "whole_s": 60.0,
        "processor_s": 75.0,
        "stored": 300,
        "computing_s": {"decoding": 10.0, "network": 25.0},
        "archive_s": {"retrieving": 5.0, "storing": 20.0},
    }
    document = {
        "size": 512,
        "syntaxes": {"RLE": 150, "JPEG 2000": 150},
        "bundle": "chest",
        "threads": 2,
        "load_before": 0.5,
        "note": "Nothing else ran.",
        "machine": {"processor": "P", "cores": 2},
        "versions": {"orthanc": "1.10.1"},
        "run": run,
        "again": {**run, "whole_s": 9.0, "stored": 0},
        "segs": 300,
        "peak_mib": {"command": 900.4, "orthanc": 100.0},
    }
    page = markdown(document)
    assert "| films a second, first film to last | 6.00 |" in page
    assert "| processor time a film, all threads, weights loaded in it | 0.25 s |" in page
    assert "| network | 25.0 | 50% |" in page
    assert "| waiting, and the rest | 15.0 | 30% |" in page
    assert "| storing | 20.0 | 40% |" in page
    assert "9.0 s, 0 stored" in page
    assert "(150 RLE, 150 JPEG 2000)" in page
