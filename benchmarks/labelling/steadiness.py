"""Memory of the server over time, and whether it grows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from statistics import fmean

import psutil

from benchmarks.memory import every, resident_mib

__all__ = ["growth", "memory_of"]

EVERY_S = 1.0
Sample = tuple[float, float]


@contextmanager
def memory_of(pid: int) -> Iterator[list[Sample]]:
    """Within it a process and its children are looked at once a second: seconds, and resident memory, MiB."""
    samples: list[Sample] = []
    began = time.perf_counter()

    def look() -> None:
        with suppress(psutil.Error):
            mib = resident_mib(pid)
            samples.append((time.perf_counter() - began, mib))

    with every(EVERY_S, look):
        yield samples


def growth(samples: Sequence[Sample]) -> dict[str, float]:
    """Memory at the beginning and at the end, MiB, and its slope, MiB a minute.

    The first quarter is left out: weights are loaded in it, and each image is opened for the first time. The slope is
    that of the least squares through the rest; begin and end are means of its first and last third.
    """
    rest = samples[len(samples) // 4 :]
    third = max(1, len(rest) // 3)
    values = [mib for _, mib in rest]
    minutes = [seconds / 60 for seconds, _ in rest]
    middle, mean = fmean(minutes), fmean(values)
    spread = sum((minute - middle) ** 2 for minute in minutes)
    slope = sum((m - middle) * (v - mean) for m, v in zip(minutes, values, strict=True)) / spread if spread else 0.0
    return {
        "begin_mib": fmean(values[:third]),
        "end_mib": fmean(values[-third:]),
        "most_mib": max(mib for _, mib in samples),
        "mib_a_minute": slope,
    }
