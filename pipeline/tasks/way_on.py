"""What the user of a training that was stopped, or found no memory or no room on the disk, is told: how it goes on."""

from __future__ import annotations

import errno
from pathlib import Path
from shlex import quote
from typing import Any

from pipeline.atomic import NO_ROOM
from pipeline.bundle import Bundle
from pipeline.errors import NoMemory, NoRoom, PlanarError, user_error_within
from pipeline.memory import is_gpu_full
from pipeline.terminations import Terminated

__all__ = ["note_way_on", "way_on"]

MAKE_ROOM = {
    errno.EDQUOT: "Make room, or have the quota raised",
    errno.EFBIG: "Have larger files allowed (ulimit -f)",
}


def way_on(error: BaseException, bundle: Bundle, datalist: Path, batch_size: Any) -> PlanarError | None:
    """The error that a training ended with, as the user is told it; None if there is nothing to add.

    Args:
        error: As it came from MONAI, which wraps it.
        bundle: The training's folder, as it is now.
        datalist: What it was trained on.
        batch_size: As the config has it: a number, or an expression.
    """
    if not isinstance(error, Exception):
        return None
    if _is_out_of_memory(error):
        if isinstance(batch_size, int) and batch_size > 1:
            smaller = f"batch_size={batch_size // 2}"
            return NoMemory(f"The GPU's memory is full at batch_size={batch_size}. {_again(bundle, datalist, smaller)}")
        return NoMemory(
            f"The GPU's memory is full{' at batch_size=1' if batch_size == 1 else ''}. Give a smaller "
            f"{'image_size' if batch_size == 1 else 'batch_size'}, or end what else uses the GPU. "
            f"{_again(bundle, datalist)}"
        )
    cause = user_error_within(error)
    if not isinstance(cause, OSError) or cause.errno not in NO_ROOM:
        return None
    path = cause.filename2 or cause.filename or "A file of the training, of mlruns.db or in TMPDIR"
    room = MAKE_ROOM.get(cause.errno, "Make room")
    return NoRoom(f"{path}: {cause.strerror}. {room}. {_again(bundle, datalist)}")


def note_way_on(error: BaseException, bundle: Bundle, datalist: Path) -> None:
    """Let Ctrl-C or SIGTERM say how the training that it stopped goes on; the command line tells it."""
    if isinstance(error, (KeyboardInterrupt, Terminated)):
        error.add_note(_again(bundle, datalist))


def _again(bundle: Bundle, datalist: Path, setting: str = "") -> str:
    """What to do with the folder, and what to command."""
    if (bundle.root / "models" / "last.pt").is_file():
        return f"Go on with: planar train {bundle.typed} --data {quote(str(datalist))} --resume {setting}".rstrip()
    again = f"Give the command again{' with ' if setting else ''}{setting}"
    if (bundle.root / "models" / "model.pt").is_file():
        return (
            f"{again} and another folder (-o), or remove {bundle.root} before: it holds weights (models/model.pt), and "
            "no models/last.pt to go on from."
        )
    return f"{again}."


def _is_out_of_memory(error: BaseException) -> bool:
    seen: set[int] = set()
    inner: BaseException | None = error
    while inner is not None and id(inner) not in seen:
        if is_gpu_full(inner):
            return True
        seen.add(id(inner))
        inner = inner.__cause__
    return False
