"""`models/record.json`: which run a checkpoint comes from, beside the checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.atomic import write_text_aside

__all__ = ["NAME", "read_training_record", "training_run_of", "write_training_record"]

NAME = "record.json"


def read_training_record(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The record of the training in a folder of checkpoints.

    run_id and tracking_uri are of the last training there, model_sha256 and step of `model.pt`. A resumed training says
    which run it resumes, and while it has not become better, model_run_id is the run that made `model.pt`. Empty if
    there is none, as after a training that was not tracked.
    """
    try:
        content = json.loads((Path(folder) / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_training_record(folder: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write it, whole or not at all."""
    write_text_aside(Path(folder) / NAME, json.dumps(dict(content), indent=2) + "\n")


def training_run_of(checkpoint: str | os.PathLike[str], sha256: str) -> str | None:
    """The run that made these very weights, as far as the record beside them says."""
    record = read_training_record(Path(checkpoint).parent)
    run = record.get("model_run_id") or record.get("run_id")
    return str(run) if run and record.get("model_sha256") == sha256 else None
