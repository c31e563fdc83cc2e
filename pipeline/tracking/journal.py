"""What a run has to tell, on the local disk before anything else happens to it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.atomic import write_text_aside

__all__ = ["Journal", "Operation", "read_about"]

# {"n": 7, "op": "metrics", …}: a number that grows, what is to be done, and with what.
Operation = dict[str, Any]


class Journal:
    """The operations of one run, and which of them MLflow has.

    In its folder: `journal.jsonl` (an operation a line), `sent` (numbers of those that MLflow has), `files/<number>/`
    (a copy of each file that is to be logged, since the original may change), `about.json` (which run in which store,
    of which process) and `refused.jsonl` (what MLflow would not take, with the reason).

    A line is handed to the operating system at once: it outlives the process, `kill -9` included. It is forced to the
    disk only when the store cannot be reached. A line that such an end has torn is left out. Where the disk is full or
    goes away, operations are kept in memory: training goes on, and they are sent if the process lives to do it.

    All methods may be called from any thread, and from a signal handler.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about: dict[str, Any] = {}
        self.trouble: str | None = None  # why the disk does not have everything
        self._pending: dict[int, Operation] = {}
        self._last = 0
        self._lock = threading.RLock()
        self._file: int | None = None  # a descriptor: it may be closed by the end of the process alone
        self._torn = False
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._load()

    @property
    def pending(self) -> list[Operation]:
        """What MLflow does not have yet, in order."""
        with self._lock:
            return list(self._pending.values())

    @property
    def last_sign_ms(self) -> int:
        """When it was last written to, ms since 1970."""
        for name in ("journal.jsonl", "about.json"):
            with suppress(OSError):
                return int((self.folder / name).stat().st_mtime * 1000)
        return int(time.time() * 1000)

    def describe(self, about: Mapping[str, Any]) -> None:
        """Add to `about.json`."""
        self.about |= about
        write_text_aside(self.folder / "about.json", json.dumps(self.about, indent=2) + "\n")

    def append(self, op: str, source: Path | None = None, **content: Any) -> int:
        """Add an operation.

        Args:
            op: What is to be done; see `pipeline.tracking.delivery`.
            source: A file or folder that it needs; a copy is kept.
            content: With what; must go into JSON.
        Returns: Its number.
        """
        with self._lock:
            self._last += 1
            number = self._last
            operation: Operation = {"n": number, "op": op, **content}
            try:
                if source is not None:
                    operation["source"] = str(source.absolute())  # if the disk is full it must do
                    operation["source"] = self._keep(number, source)
                self._write(operation)
            except OSError as error:
                self._note_trouble(error)
            self._pending[number] = operation
            return number

    def source(self, operation: Operation) -> Path:
        """The file or folder that an operation needs."""
        return self.folder / str(operation["source"])

    def mark_sent(self, operations: Iterable[Operation], *, keep: bool = False) -> None:
        """MLflow has these; the copies of their files go, unless they are to be kept."""
        with self._lock:
            numbers = [int(operation["n"]) for operation in operations]
            with suppress(OSError), (self.folder / "sent").open("a", encoding="ascii") as file:
                # With a stop, so that a torn number is not taken for another one.
                file.write("".join(f"\n{number}." for number in numbers))
            for number in numbers:
                self._pending.pop(number, None)
        for number in numbers if not keep else ():
            shutil.rmtree(self.folder / "files" / str(number), ignore_errors=True)

    def mark_refused(self, operation: Operation, reason: str) -> None:
        """MLflow will never take this one: it is set aside, so that those behind it are sent."""
        with suppress(OSError), (self.folder / "refused.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({**operation, "reason": reason}) + "\n")
        self.mark_sent([operation], keep=True)

    @property
    def refused(self) -> list[Operation]:
        """What MLflow would not take."""
        return _lines(self.folder / "refused.jsonl")

    def secure(self) -> None:
        """Force what is written to the disk, for the power may fail as well."""
        with self._lock, suppress(OSError):
            if self._file is not None:
                os.fsync(self._file)

    def close(self) -> None:
        """Close the file; the folder stays."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def remove(self) -> None:
        """Take the whole folder away: MLflow has everything."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, operation: Operation) -> None:
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
            self._file = os.open(self.folder / "journal.jsonl", flags, 0o600)
        line = json.dumps(operation, ensure_ascii=False).encode() + b"\n"
        # In one piece, so that a signal's own operations stand before or behind it.
        written = os.write(self._file, b"\n" + line if self._torn else line)
        self._torn = written != len(line) + self._torn
        if self._torn:
            raise OSError(28, "No space left on device")

    def _keep(self, number: int, source: Path) -> str:
        folder = self.folder / "files" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, folder / source.name, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, folder / source.name)
        return str((folder / source.name).relative_to(self.folder))

    def _note_trouble(self, error: OSError) -> None:
        self._torn = True
        if self.trouble is None:
            self.trouble = f"{self.folder}: {error.strerror or error}."
            logging.getLogger(__name__).warning(
                "The record of this run cannot be written to the disk: %s It is still sent to MLflow, but is lost if "
                "this process ends before.",
                self.trouble,
            )

    def _load(self) -> None:
        """Read what a former process has left."""
        self.about = read_about(self.folder)
        journal = self.folder / "journal.jsonl"
        operations = {int(line["n"]): line for line in _lines(journal) if "n" in line and "op" in line}
        with suppress(OSError):
            content = journal.read_bytes()
            self._torn = bool(content) and not content.endswith(b"\n")
        done: set[int] = set()
        with suppress(OSError):
            words = (self.folder / "sent").read_text(encoding="ascii", errors="replace").splitlines()
            done = {int(word[:-1]) for word in words if word.endswith(".") and word[:-1].isdecimal()}
        self._last = max(operations, default=0)
        self._pending = {number: operations[number] for number in sorted(operations) if number not in done}


def read_about(folder: Path) -> dict[str, Any]:
    """The description of a record; empty if there is none that can be read."""
    try:
        content = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _lines(path: Path) -> list[Operation]:
    """The lines of a file that are whole."""
    found: list[Operation] = []
    try:
        content = path.read_bytes()
    except OSError:
        return found
    for line in content.split(b"\n"):
        with suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                found.append(value)
    return found
