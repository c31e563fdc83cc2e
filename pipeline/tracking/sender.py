"""The thread that sends a journal to MLflow while the training goes on."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from pipeline.tracking.delivery import Delivery
from pipeline.tracking.journal import Journal
from pipeline.tracking.store import WHILE_SENDING, impatient

__all__ = ["Sender"]

# Seconds between two tries of a store that does not answer.
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0
# A file may take this long: bytes a second that any connection does.
SLOWEST_BYTES_S = 200_000


class Sender(threading.Thread):
    """Sends what a journal holds as it comes; where the store is down, it tries again until it is back.

    A daemon: a process that ends does not wait for it. `flush` does, as long as there is progress.

    Args:
        journal: What is sent.
        delivery: How.
    """

    def __init__(self, journal: Journal, delivery: Delivery) -> None:
        super().__init__(name=f"planar record {delivery.run_id}", daemon=True)
        self.journal = journal
        self.delivery = delivery
        self._changed = threading.Condition()
        self._work = self._hurry = self._stopped = False
        self._wait_s = self._last_pass = 0.0
        self._passes = 0

    def run(self) -> None:
        """Send until `stop`."""
        wait = FIRST_WAIT_S
        with impatient(WHILE_SENDING):
            while self._wait_for_work():
                before = self.delivery.sent
                done = self.delivery.deliver(self.journal)
                if not done:
                    self.journal.secure()
                    wait = FIRST_WAIT_S if self.delivery.sent > before else min(2 * wait, LONGEST_WAIT_S)
                with self._changed:
                    self._wait_s, self._last_pass = 0.0 if done else wait, time.monotonic()
                    self._work = self._work or not done or bool(self.journal.pending)
                    self._passes += 1
                    self._changed.notify_all()

    def notice(self) -> None:
        """There is something to send."""
        with self._changed:
            self._work = True
            self._changed.notify_all()

    def flush(self, limit_s: float) -> bool:
        """Wait until all is sent, or nothing has moved for a time.

        Args:
            limit_s: Without progress, s; files get more by their size, a store that refuses at once a third.
        Returns: Whether MLflow has everything.
        """
        moved, sent, passes = time.monotonic(), self.delivery.sent, self._passes
        while self.journal.pending and self.is_alive():
            with self._changed:
                self._work = self._hurry = True
                self._changed.notify_all()
                self._changed.wait(0.25)
            now = time.monotonic()
            if self.delivery.sent > sent:
                moved, sent = now, self.delivery.sent
            # The first pass may have begun before.
            is_down = self._passes > passes + 1 and self.delivery.failure is not None
            if now - moved > (limit_s / 3 if is_down else limit_s + self._bytes_left() / SLOWEST_BYTES_S):
                break
        return not self.journal.pending

    def stop(self) -> None:
        """Send no more. A request that hangs is not waited for: one that is answered later doubles nothing."""
        self.delivery.stopped = True
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self.join(timeout=1.0)

    def _wait_for_work(self) -> bool:
        """Wait for something to send and the time to try; False when it is to end."""
        with self._changed:
            while not self._stopped:
                # A hurry shortens the wait for a store that is down, but not to none.
                wait = min(self._wait_s, FIRST_WAIT_S) if self._hurry else self._wait_s
                left = self._last_pass + wait - time.monotonic()
                if self._work and left <= 0:
                    break
                self._changed.wait(None if not self._work else max(0.05, min(left, 1.0)))
            self._work = self._hurry = False
            return not self._stopped

    def _bytes_left(self) -> int:
        sizes = 0
        for operation in self.journal.pending:
            if "source" in operation:
                source = self.journal.source(operation)
                with suppress(OSError):
                    sizes += sum(path.stat().st_size for path in [source, *source.rglob("*")] if path.is_file())
        return sizes
