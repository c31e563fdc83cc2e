"""`models/record.json`: which run a checkpoint comes from, beside the checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.atomic import write_text_aside
from pipeline.digests import file_sha256

if TYPE_CHECKING:
    from pipeline.checkpoints import Checkpoints

__all__ = ["NAME", "note_weights", "read_training_record", "training_run_of", "write_training_record"]

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


def note_weights(checkpoints: Checkpoints, run_id: str, store: str, resumes: str | None = None) -> str | None:
    """Say beside the weights of a training which run they are of.

    Args:
        checkpoints: Of the training.
        run_id: Its run.
        store: The store that has it, without a password.
        resumes: The run that it resumes.
    Returns: The digest of the best weights; None while there are none.
    """
    best = checkpoints.best_path
    digest = file_sha256(best) if best.is_file() else None
    maker = training_run_of(best, digest) if digest is not None else None
    content = {
        "run_id": run_id,
        "tracking_uri": store,
        "model_sha256": digest,
        "step": checkpoints.best_epoch if digest is not None else None,
        **({"resumes": resumes} if resumes else {}),
        **({"model_run_id": maker} if maker not in (None, run_id) else {}),
    }
    with suppress(OSError):  # the weights themselves could not be written either, which is told elsewhere
        write_training_record(checkpoints.folder, content)
    return digest
