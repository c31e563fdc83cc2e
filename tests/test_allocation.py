"""Memory that was freed is not asked for again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline import allocation

PAGES = """
import resource, sys
import numpy as np
from pipeline.allocation import keep_freed_memory

if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit("no such setting")

def blocks():
    for _ in range(20):
        np.ones(33 << 20, np.uint8)  # above 32 MiB glibc never keeps a block by itself

blocks()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
blocks()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PAGES, how], capture_output=True, text=True)
    if "no such setting" in done.stderr:
        pytest.skip("This C library has no mallopt.")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_freed_blocks_are_taken_again_without_asking_the_system() -> None:
    usual, kept = faults("usual"), faults("kept")
    assert kept < 200
    assert usual > 10 * max(kept, 1)


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation.sys, "platform", "darwin")
    assert allocation.keep_freed_memory.__wrapped__() is False
