"""The MLflow record of a run, brought in by a bundle's `configs/tracking.json` through MONAI's `--tracking`.

A record is local first: what is told of a run is appended to a journal on this machine (`state`, `journal`) and sent
from there (`delivery`, `sender`). Training waits for MLflow when it begins, where a store that cannot be opened is told
at once, and for a limited time when it ends. What could not be sent, and runs whose process was killed, are dealt with
by the next command that opens the store (`stale`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipeline.tracking.store import tracking_uri, without_password

if TYPE_CHECKING:
    from pipeline.tracking.datasets import DatasetFacts, case_leaf, merkle_root
    from pipeline.tracking.exported import executed_config
    from pipeline.tracking.facts import RunFacts
    from pipeline.tracking.headline import Headline, headline_of
    from pipeline.tracking.open_run import status_after
    from pipeline.tracking.parent import ParentRun
    from pipeline.tracking.privacy import Pseudonyms
    from pipeline.tracking.reading import RunStore
    from pipeline.tracking.record import Record
    from pipeline.tracking.recorders import RunRecorder, ValidationRecorder
    from pipeline.tracking.stale import Synced, sync
    from pipeline.tracking.training_record import read_training_record, training_run_of

__all__ = [
    "DatasetFacts",
    "Headline",
    "ParentRun",
    "Pseudonyms",
    "Record",
    "RunFacts",
    "RunRecorder",
    "RunStore",
    "Synced",
    "ValidationRecorder",
    "case_leaf",
    "executed_config",
    "merkle_root",
    "headline_of",
    "read_training_record",
    "status_after",
    "sync",
    "tracking_uri",
    "training_run_of",
    "without_password",
]

# Where each name is. Some need torch and MONAI, which takes seconds, and some do not.
PLACES = {
    "DatasetFacts": "datasets",
    "Headline": "headline",
    "ParentRun": "parent",
    "Pseudonyms": "privacy",
    "Record": "record",
    "RunFacts": "facts",
    "RunRecorder": "recorders",
    "RunStore": "reading",
    "Synced": "stale",
    "ValidationRecorder": "recorders",
    "case_leaf": "datasets",
    "executed_config": "exported",
    "merkle_root": "datasets",
    "headline_of": "headline",
    "read_training_record": "training_record",
    "status_after": "open_run",
    "sync": "stale",
    "training_run_of": "training_record",
}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PLACES[name]}"), name)
