"""How much of an inference goes on at once, by the device that computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.cores import asked_threads, usable_cores

__all__ = ["Pace", "pace_for"]

GIB = 2**30


@dataclass(frozen=True)
class Pace:
    """How much goes on at once.

    Attributes:
        pictures: That go through the network together, also across sources. The slices of one volume that are read
            together stay together.
        sources: That are read, segmented or written at a time.
        readers: Threads that read.
        computers: Threads that compute a batch each; one is the thread that asks.
        threads: Of PyTorch in each of several computers; 0 to leave it as it is.
        room: Bytes that the sources under way may take, as far as their sizes are foreseen; one source may take more.
    """

    pictures: int
    sources: int
    readers: int
    room: int = GIB
    computers: int = 1
    threads: int = 0


# Each takes a copy of the network, and decoding has to keep up with them all.
MOST_COMPUTERS = 8


def pace_for(predict: Any) -> Pace:
    """The pace of a predictor.

    Args:
        predict: With a `device`, if it has a choice, or with how many pictures it computes `at_once`.
    """
    at_once = getattr(predict, "at_once", None)
    if at_once is not None:
        # Four times as many, so that those who are done seldom wait for the slowest of them.
        return Pace(pictures=4 * at_once, sources=8 * at_once, readers=at_once)
    device = getattr(predict, "device", None)
    if device is None or device.type == "cpu":
        return _on_cpu(asked_threads() or usable_cores())
    # Decoding and pre-processing a film takes longer than the network does.
    readers = max(1, min(6, usable_cores() - 2))
    return Pace(pictures=16, sources=64, readers=readers, room=2 * GIB)


def _on_cpu(cores: int) -> Pace:
    """Every picture has a network to itself, and a core: two cores for one picture wait for each other."""
    computers = min(cores, MOST_COMPUTERS)
    readers = max(1, computers // 2)
    return Pace(1, 2 * computers + 1, readers, computers=computers, threads=max(1, cores // computers))
