"""Memory that was freed is not asked for again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

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


HUGE = """
import re
from pathlib import Path
import numpy as np
from pipeline.allocation import keep_freed_memory

keep_freed_memory()
resident = lambda: int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1))
before = resident()
block = np.ones(64 << 20, np.uint8)
huge = re.search(r"AnonHugePages:\\s+(\\d+)", Path("/proc/self/smaps_rollup").read_text()).group(1)
print(before, resident() - before, huge)
"""
PAGES_OF_SYSTEM = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(
    not PAGES_OF_SYSTEM.is_file() or "[never]" in PAGES_OF_SYSTEM.read_text(), reason="No huge pages on this system."
)
def test_blocks_come_in_huge_pages_and_no_memory_is_taken_for_what_is_not_written() -> None:
    asks_itself = {"NUMPY_MADVISE_HUGEPAGE": "0"}  # NumPy does for arrays of this size
    done = subprocess.run(
        [sys.executable, "-c", HUGE], capture_output=True, text=True, check=True, env=os.environ | asks_itself
    )
    before, grown, huge = (int(number) * 2**10 for number in done.stdout.split())
    assert before < allocation.ROOM // 4
    assert grown < 80 << 20
    assert huge > 0


def test_no_room_is_taken_where_address_space_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    asked: list[int] = []
    library = SimpleNamespace(malloc=asked.append, free=asked.append, madvise=asked.append)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (8 << 30, resource.RLIM_INFINITY))
    allocation._ask_for_huge_pages(library)
    assert asked == []


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation.sys, "platform", "darwin")
    assert allocation.keep_freed_memory.__wrapped__() is False
