"""How long an archive that is away, or busy, is waited for."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pipeline.dicomweb.faults import Transience, asked_to_wait_s, transience_of

__all__ = ["Patience", "patiently"]

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """Time limits, s.

    Attributes:
        connect_s: To connect.
        read_s: Without a byte of an answer.
        away_s: For an archive that does not answer to come back.
        first_s: Before the first repetition; each further wait is twice as long.
        longest_s: Between two repetitions.
        errors: Times that a request may fail with the archive's own error (500).
        found_s: For what was stored to be found.
    """

    connect_s: float = 10.0
    read_s: float = 60.0
    away_s: float = 60.0
    first_s: float = 0.5
    longest_s: float = 8.0
    errors: int = 3
    found_s: float = 10.0


def patiently(action: Callable[[], T], patience: Patience, closed: threading.Event) -> T:
    """Do something until it does not fail in a way that passes by itself.

    Neither dicomweb-client nor urllib3 repeats a request whose answer breaks off, so this repeats them all.

    Args:
        action: What to do; doing it twice must be the same as doing it once.
        patience: How long.
        closed: Set when nobody waits any more.
    Raises: whatever the last attempt raised.
    """
    first_failure: float | None = None
    failures = 0
    while True:
        try:
            return action()
        except Exception as error:
            failures += 1
            now = time.monotonic()
            first_failure = now if first_failure is None else first_failure
            # Not all at the same moment, where several processes wait for one archive.
            wait_s = min(patience.first_s * 2 ** (failures - 1), patience.longest_s) * random.uniform(0.75, 1.0)
            wait_s = max(wait_s, min(asked_to_wait_s(error), patience.longest_s))
            kind = transience_of(error)
            passes = kind is Transience.AWAY or (kind is Transience.ERROR and failures < patience.errors)
            if not passes or now + wait_s - first_failure > patience.away_s or closed.wait(wait_s):
                raise
