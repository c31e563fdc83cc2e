"""What each part of an inference takes, without what it calls of the others, in the thread that does it."""

from __future__ import annotations

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

__all__ = ["Clock"]


class Clock:
    """Times of named parts, s; a part that calls another does not count what that takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        @functools.wraps(function)
        def timed(*args: Any, **options: Any) -> Any:
            inner: list[float] = self._of_thread.__dict__.setdefault("inner", [])
            inner.append(0.0)
            began = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                took = time.perf_counter() - began
                with self._lock:
                    self.seconds[part] += took - inner.pop()
                    self.calls[part] += 1
                if inner:
                    inner[-1] += took

        return timed

    def put_into(self, owner: Any, name: str, part: str) -> None:
        """Time what an object or module has under a name."""
        setattr(owner, name, self.timed(part, getattr(owner, name)))
