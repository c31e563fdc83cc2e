"""The journal that a process begins for a run of its own."""

from __future__ import annotations

import logging
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from pipeline.tracking.journal import Journal
from pipeline.tracking.owner import Ownership, this_process
from pipeline.tracking.state import records_folder
from pipeline.tracking.store import store_name

__all__ = ["new_journal"]


def new_journal(uri: str) -> tuple[Journal, Ownership]:
    """An empty journal of this process.

    Where the folder of this user cannot be written (`pipeline.tracking.state`), it is kept in a temporary folder and a
    warning says so: the run is recorded all the same, but what MLflow has not got when the process ends is not sent
    later.

    Args:
        uri: Of the store that it is for.
    """
    record = uuid.uuid4().hex[:12]
    about = {"record": record, "store": store_name(uri), "created": int(time.time() * 1000), **this_process()}
    try:
        return _lay_out(records_folder() / record, about)
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix="planar-record-"))
        logging.getLogger(__name__).warning(
            "%s cannot be written (%s): what of this run's record MLflow has not got when the process ends is lost. "
            "Name a folder that can be written with PLANAR_STATE.",
            records_folder(),
            error.strerror or error,
        )
        return _lay_out(folder, about)


def _lay_out(folder: Path, about: dict[str, Any]) -> tuple[Journal, Ownership]:
    journal, owner = Journal(folder), Ownership(folder)
    # Before anything says whose it is: a folder without a description is nobody's, and left alone.
    owner.hold()
    journal.describe(about)
    return journal, owner
