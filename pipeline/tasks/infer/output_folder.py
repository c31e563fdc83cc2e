"""The folder of the results: made if missing, gone again if nothing came of it, one inference's at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import OutputExists
from pipeline.tasks.infer.resuming import FILE
from pipeline.tasks.lock import held

__all__ = ["alone_in", "folder_made"]

# A killed inference leaves the file and no lock, which is the operating system's.
LOCK = ".planar-inference.lock"


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Within it no other inference of files writes to the folder: each would replace the other's masks.

    Raises:
        InvalidOption: if one does.
        OutputExists: if it is a file.
        OSError: if it cannot be made or written.
    """
    with folder_made(out), held(out / LOCK, str(out), being="written to", fleeting=True):
        yield


@contextmanager
def folder_made(out: Path) -> Iterator[None]:
    """Within it the folder is there; it goes if it was made for nothing.

    Raises:
        OutputExists: if it is a file.
        OSError: if it cannot be made.
    """
    existed = out.exists()
    if existed and not out.is_dir():
        raise OutputExists(f"{out} is a file. Give a folder for the results with -o.")
    out.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if not existed:
            if [path.name for path in out.iterdir()] == [FILE]:
                (out / FILE).unlink()
            with suppress(OSError):  # not empty: there are results
                out.rmdir()
