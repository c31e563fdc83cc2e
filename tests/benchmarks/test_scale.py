"""What is made of the costs of several numbers of films."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.commands import PeerError
from benchmarks.scale.measuring import measured
from benchmarks.scale.summary import line_of, markdown


def run_of(films: int) -> dict[str, Any]:
    cost = {"seconds": 1.0, "processor_seconds": 3.0 + 0.02 * films, "peak_mb": 500.0}
    return {"films": films, "cases": films, "masks": films, "stages": {"index": cost}}


def test_a_line_says_what_a_film_costs_and_what_comes_before_the_first() -> None:
    runs = [run_of(200), run_of(400), run_of(800)]
    assert line_of(runs, "index", "processor_seconds") == pytest.approx((3.0, 0.02))
    page = markdown({"runs": runs, "machine": {"processor": "a processor", "cores": 2}, "size": 256, "target": 10_000})
    assert "| index | 3.0 | 20.0 | 3.4 | -0.000 |" in page or "| index | 3.0 | 20.0 | 3.4 | 0.000 |" in page


def test_a_command_is_measured_with_its_processes(tmp_path: Path) -> None:
    work = "import time; held = b'x' * 2**26; end = time.process_time() + 0.7\nwhile time.process_time() < end: pass"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}], check=True)"
    cost = measured([sys.executable, "-c", script], tmp_path / "log", {})
    assert 0.3 < cost.processor_seconds <= cost.seconds * 2
    assert 60 < cost.peak_mb < 300


def test_a_command_that_fails_ends_the_benchmark_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="no such film"):
        measured([sys.executable, "-c", "raise SystemExit('no such film')"], tmp_path / "log", {})
