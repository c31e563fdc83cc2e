"""Silence for what the decoding libraries say and no user can act upon.

What matters of it is found by the readers themselves and put into `Picture.warnings`.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet_libraries"]

LOGGERS = ("pydicom", "nibabel.global", "PIL")

_lock = threading.Lock()
_inside = 0
_caught: warnings.catch_warnings | None = None


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Within it, Python warnings and the loggers of the decoding libraries say nothing.

    `warnings.catch_warnings` restores the filters it saved, so two threads that overlap would leave them silenced for
    good: the first thread in saves, the last one out restores.
    """
    global _inside, _caught
    with _lock:
        if _inside == 0:
            _caught = warnings.catch_warnings()
            _caught.__enter__()
            warnings.simplefilter("ignore")
            _disable_loggers(True)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _caught is not None:
                _caught.__exit__(None, None, None)
                _caught = None
                _disable_loggers(False)


def _disable_loggers(disabled: bool) -> None:
    for name in LOGGERS:
        logging.getLogger(name).disabled = disabled
