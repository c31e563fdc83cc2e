"""Steps of a comparison that are done once: a comparison that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.atomic import write_text_aside

__all__ = ["Stages"]


class Stages:
    """Does each step unless its record says that it was done with the same settings, on the same steps before it.

    Args:
        folder: Where the records are kept, one JSON file a step.
        tell: Called with one line as a step begins, ends, or is found done.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None] = lambda line: None) -> None:
        self.folder = folder
        self.tell = tell
        self.keys: dict[str, str] = {}
        self.records: dict[str, dict[str, Any]] = {}

    def do(
        self,
        name: str,
        settings: Mapping[str, Any],
        work: Callable[[], Mapping[str, Any]],
        *,
        after: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The result of a step, done now or before.

        Args:
            name: Of the step; its record is `<name>.json`.
            settings: What the result depends on. With others the step is done again, and so are those after it.
            work: Does it; what it returns must be JSON.
            after: Steps of this run that it builds on.
        """
        text = json.dumps([name, settings, [self.keys[former] for former in after]], sort_keys=True)
        self.keys[name] = hashlib.sha256(text.encode()).hexdigest()
        path = self.folder / f"{name}.json"
        record = _record_of(path)
        # One that a former step was done after is of that step's former result.
        stale = any(self.records[former]["began"] > record.get("began", "") for former in after)
        if record.get("key") == self.keys[name] and not stale:
            self.tell(f"{name}: done before ({record['seconds']:.0f} s)")
        else:
            path.unlink(missing_ok=True)
            self.tell(f"{name} …")
            load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
            began, clock = datetime.now(UTC), time.perf_counter()
            result = dict(work())
            record = {
                "key": self.keys[name],
                "settings": dict(settings),
                "result": result,
                "began": f"{began:%Y-%m-%dT%H:%M:%S.%fZ}",
                "seconds": round(time.perf_counter() - clock, 3),
                # Of one minute, before the step: a machine that was busy with something else measures something else.
                "load_before": load,
            }
            write_text_aside(path, json.dumps(record, indent=2, allow_nan=False) + "\n")
            self.tell(f"{name}: {record['seconds']:.0f} s")
        self.records[name] = record
        result = record["result"]
        return dict(result)


def _record_of(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
