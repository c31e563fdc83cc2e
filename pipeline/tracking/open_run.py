"""A run that is begun and, however the process ends, ended."""

from __future__ import annotations

import atexit
import os
import sys
import traceback
from collections.abc import Mapping

from pipeline import __version__, terminations
from pipeline.tracking.record import PATIENCE_S, Record
from pipeline.tracking.store import tracking_uri

__all__ = ["OpenRun", "status_after"]


def status_after(error: BaseException | None) -> str:
    """What MLflow calls a run that this has ended: KILLED if somebody wanted it so, else FAILED."""
    return "KILLED" if error is not None and _wish(error) is not None else "FAILED"


class OpenRun:
    """What recorders have in common: a record that is open or not, and its end.

    Args:
        experiment: Name of the MLflow experiment; made if missing.
        run_name: Name of the run; its kind and time if None.
        uri: Tracking URI; see `tracking_uri`.
        tags: Of the run, next to Planar's own.
    """

    def __init__(
        self,
        experiment: str,
        run_name: str | None = None,
        uri: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.experiment = experiment
        self.run_name = run_name
        self.uri = tracking_uri(uri)
        self.tags = dict(tags or {})
        self.run_id: str | None = None
        self.shortfall: str | None = None  # what MLflow does not have, once the run is over
        self._record: Record | None = None
        self._pid = 0

    @property
    def is_open(self) -> bool:
        """Whether a run is open."""
        return self._record is not None

    @property
    def record(self) -> Record:
        """The open run's record."""
        if self._record is None:
            raise RuntimeError("No run is open.")
        return self._record

    def open_new(self, tags: Mapping[str, str] | None = None) -> None:
        """Begin a run. TrackingUnreachable if the store cannot be opened."""
        self.close("FAILED")  # one that an error left open, where the engine is started once more
        said = {"planar.version": __version__, **(tags or {}), **self.tags}
        self.hold(Record.begin(self.uri, self.experiment, run_name=self.run_name, tags=said))

    def hold(self, record: Record) -> None:
        """Take over a record, to be ended at the latest with the process."""
        self._record, self.run_id, self.shortfall = record, record.run_id, None
        self._pid = os.getpid()
        terminations.watch(self)
        # A run that nothing ended (Ctrl-C and errors outside the engine) is ended when the process is.
        atexit.register(self._close_at_exit)

    def close(self, status: str, error: BaseException | None = None) -> None:
        """End the run as FINISHED, FAILED or KILLED; the error's traceback becomes an artifact. Once only."""
        if self._record is None:
            return
        self.before_close()
        record = self._let_go()
        if error is not None:
            record.text("".join(traceback.format_exception(error)), "traceback.txt")
            record.tags({"planar.ended": _by_what(error)})
        self.shortfall = record.end(status, PATIENCE_S)

    def pause(self, status: str) -> None:
        """Leave the run to be gone on with later."""
        if self._record is not None:
            self.shortfall = self._let_go().leave(status, PATIENCE_S)

    def before_close(self) -> None:
        """For what a recorder tells last."""

    def _let_go(self) -> Record:
        record, self._record = self.record, None
        atexit.unregister(self._close_at_exit)
        terminations.unwatch(self)
        return record

    def _close_at_exit(self) -> None:
        if os.getpid() != self._pid:  # a process that was forked: the run is not its own
            return
        error = terminations.end_of_process() or getattr(sys, "last_value", None)
        self.close(status_after(error), error)


def _wish(error: BaseException) -> BaseException | None:
    """Ctrl-C or SIGTERM where that is behind an error: MONAI wraps what an expression of a config raises."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, (KeyboardInterrupt, terminations.Terminated)):
        cause = cause.__cause__
    return cause


def _by_what(error: BaseException) -> str:
    wish = _wish(error)
    if wish is not None:
        return "SIGINT" if isinstance(wish, KeyboardInterrupt) else "SIGTERM"
    while error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__
