"""The folder of this user in which records wait until MLflow has them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.atomic import write_text_aside

__all__ = ["note_places", "places_of", "records_folder", "refused_folder", "state_folder"]


def state_folder() -> Path:
    """`$PLANAR_STATE`, else `$XDG_STATE_HOME/planar`, else `~/.local/state/planar`; there or not."""
    if own := os.environ.get("PLANAR_STATE"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state").absolute() / "planar"


def records_folder() -> Path:
    """Where the records lie that MLflow does not have whole."""
    return state_folder() / "records"


def refused_folder() -> Path:
    """Where the records lie of which MLflow would not take a part, with the reason in `refused.jsonl`."""
    return state_folder() / "refused"


def note_places(run_id: str, places: Mapping[str, str | None]) -> None:
    """Write down where the files of a run lie. Paths may name patients: they stay on this machine.

    Args:
        run_id: The run.
        places: Such as "datalist", "bundle" and "datalist_sha256".
    Raises: OSError: if the folder cannot be written.
    """
    text = json.dumps({**places_of(run_id), **{name: value for name, value in places.items() if value}}, indent=2)
    write_text_aside(_places_file(run_id), text + "\n")


def places_of(run_id: str) -> dict[str, str]:
    """What `note_places` has written on this machine; empty if it was another one."""
    try:
        content = json.loads(_places_file(run_id).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in content.items()} if isinstance(content, dict) else {}


def _places_file(run_id: str) -> Path:
    return state_folder() / "runs" / f"{run_id}.json"
