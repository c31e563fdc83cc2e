"""What the database itself holds of a run, beside what the training has written down on its own disk."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from postgres import Postgres

from pipeline.history import read_history

__all__ = ["last_step", "require_epochs_once", "require_nothing_doubled", "status_of", "steps_of", "tag_of"]

# What the record calls a column of `history.csv` otherwise; the epoch is the step.
RENAMED = {"seconds": "epoch_seconds"}


def status_of(postgres: Postgres, database: str, run_id: str) -> str:
    """Such as "FINISHED"."""
    ((status,),) = postgres.rows(database, "SELECT status FROM runs WHERE run_uuid = %s", run_id)
    return str(status)


def tag_of(postgres: Postgres, database: str, run_id: str, name: str) -> str | None:
    """A tag of a run."""
    found = postgres.rows(database, "SELECT value FROM tags WHERE run_uuid = %s AND key = %s", run_id, name)
    return str(found[0][0]) if found else None


def steps_of(postgres: Postgres, database: str, run_id: str, metric: str) -> list[int]:
    """Each step of a metric, as often as it is there."""
    query = "SELECT step FROM metrics WHERE run_uuid = %s AND key = %s ORDER BY step"
    return [int(step) for (step,) in postgres.rows(database, query, run_id, metric)]


def last_step(postgres: Postgres, database: str, metric: str = "val_mean_dice") -> tuple[str, int] | None:
    """Of the run that was begun last its id, and the last step of a metric; None before there is one."""
    query = (
        "SELECT r.run_uuid, max(m.step) FROM runs r LEFT JOIN metrics m ON m.run_uuid = r.run_uuid AND m.key = %s "
        "GROUP BY r.run_uuid, r.start_time ORDER BY r.start_time DESC LIMIT 1"
    )
    found = postgres.rows(database, query, metric)
    return (str(found[0][0]), int(found[0][1] or 0)) if found else None


def require_nothing_doubled(postgres: Postgres, database: str, run_id: str) -> None:
    """Fail if a metric is there twice at one step, be it with another time or value."""
    query = "SELECT key, step, count(*) FROM metrics WHERE run_uuid = %s GROUP BY key, step HAVING count(*) > 1"
    assert postgres.rows(database, query, run_id) == []


def require_epochs_once(postgres: Postgres, database: str, run_id: str, history: Path) -> None:
    """Fail unless the database has each number of `history.csv` once, none besides, and nothing twice at one step."""
    require_nothing_doubled(postgres, database, run_id)
    query = "SELECT key, step, value FROM metrics WHERE run_uuid = %s AND key NOT LIKE 'system/%%' AND NOT is_nan"
    stored = {(str(key), int(step)): float(value) for key, step, value in postgres.rows(database, query, run_id)}
    written = {
        (RENAMED.get(name, name), int(row["epoch"])): value
        for row in read_history(history)
        for name, value in row.items()
        if name != "epoch" and math.isfinite(value)
    }
    assert stored.keys() == written.keys()
    assert stored == pytest.approx(written, rel=1e-5)  # the file has six digits
