"""What an inference tells MLflow when it is over, kept in a file until a process of its own has written the run.

Opening MLflow's store takes longer than an inference by an exported program: nobody should wait for it. What is to be
told lies in `told/` of this user's state folder first. The process that writes the run takes the file away at the end;
one that is left is written with the next inference, or by `planar runs sync`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.atomic import write_text_aside
from pipeline.tracking.state import state_folder
from pipeline.tracking.store import tracking_uri, unreachable

__all__ = ["keep", "left_over", "read", "require_sqlite", "start_writing", "taken"]

FORMAT = "planar-told/1"
SQLITE = "sqlite:///"
_started: list[subprocess.Popen[bytes]] = []


def require_sqlite(configured: str | None) -> str | None:
    """The store's URI if it is a SQLite file that can be written, or made; None if it is another kind of store.

    Raises: TrackingUnreachable: for a file that is none of MLflow's, or cannot be written.
    """
    uri = tracking_uri(configured)
    if not uri.startswith(SQLITE):
        return None
    file = Path(uri.removeprefix(SQLITE))
    try:
        if not file.exists():
            if not os.access(file.absolute().parent, os.W_OK):
                raise PermissionError(13, "Permission denied", str(file))
            return uri
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=0)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):  # by another process, which will be done with it
            raise unreachable(uri, error) from error
    except (sqlite3.Error, OSError) as error:
        raise unreachable(uri, error) from error
    return uri


def keep(content: Mapping[str, Any]) -> Path:
    """Write what is to be told; the file.

    Raises: OSError: if the state folder cannot be written.
    """
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{uuid.uuid4().hex[:12]}.json"
    document = {"format": FORMAT, "folder": str(Path.cwd()), "called": sys.argv[0] if sys.argv else "", **content}
    write_text_aside(path, json.dumps(document) + "\n")
    return path


def read(path: Path) -> dict[str, Any]:
    """What `keep` wrote.

    Raises: ValueError: for another content.
    """
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if document.get("format") != FORMAT:
        raise ValueError(f"{path}: format {document.get('format')!r}, expected {FORMAT!r}")
    return document


def left_over() -> list[Path]:
    """Files whose runs are not written yet, the oldest first."""
    found = []
    for path in _folder().glob("*.json"):
        with suppress(FileNotFoundError):  # another process has just written its run
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found)]


@contextmanager
def taken(path: Path) -> Iterator[bool]:
    """Within it the file is this process's; yields False where it is another's, or gone."""
    try:
        import fcntl
    except ImportError:  # Windows, which does not let two processes open it so anyway
        yield path.is_file()
        return
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield path.is_file()


def start_writing() -> None:
    """Begin a process that writes the runs of all files that are there, and outlives this one."""
    command = [sys.executable, "-c", "from pipeline.tasks.infer.writing_told import main; main()"]
    nowhere = subprocess.DEVNULL
    # In a folder of ours: Python looks for modules in the working folder first, which may be anybody's.
    _started.append(
        subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, cwd=_folder(), start_new_session=True)
    )


def _folder() -> Path:
    return state_folder() / "told"
