"""Going on with an inference over files that was stopped, in the folder of its results."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.atomic import write_text_aside
from pipeline.errors import InvalidOption
from pipeline.fragments import split_fragment
from pipeline.tasks.infer.wanted import ENDS

__all__ = [
    "FILE",
    "SOURCES",
    "Known",
    "has_masks",
    "note_job",
    "note_source",
    "read_sources",
    "require_same_job",
    "state_of",
]

# Hidden, so that nobody takes it for a result. Other jobs in the same folder end what can be gone on with.
FILE = ".planar-inference.json"
SEVERAL = {"several": "jobs"}
# A line for each source that is done: what its results are called, and what it was then.
SOURCES = ".planar-sources.jsonl"


def note_job(out: Path, job: Mapping[str, Any]) -> None:
    """Write down what makes the results in a folder, before the first of them.

    Args:
        out: The folder.
        job: Bundle, digests of its weights, and all that changes what is written.
    """
    found = _read(out)
    this = _plain(job)
    if found is None:
        write_text_aside(out / FILE, json.dumps(this, indent=1) + "\n")
    elif found != this:
        write_text_aside(out / FILE, json.dumps(SEVERAL) + "\n")


def require_same_job(out: Path, job: Mapping[str, Any]) -> None:
    """Raise InvalidOption if the results in a folder are not all of this job; none at all are."""
    found, this = _read(out), _plain(job)
    # What is hidden is no result: a lock, or what a killed process has left.
    if found is None and (not out.is_dir() or all(path.name.startswith(".") for path in out.iterdir())):
        return
    if found is None:
        raise InvalidOption(f"{out} has results of which is not known how they were made: --resume needs its own.")
    if found == SEVERAL:
        raise InvalidOption(f"{out} has results of several inferences: give another folder, or --overwrite.")
    other = [key for key in sorted({*found, *this}) if found.get(key) != this.get(key)]
    if other:
        raise InvalidOption(
            f"{out} has results of another inference ({', '.join(other)} differ): go on with its own options and "
            "weights, or give another folder."
        )


def has_masks(out: Path, stem: str, formats: Sequence[str]) -> bool:
    """Whether a source has all its masks. They are the last of its results that get their names."""
    # Not Path's, which raises for a name that is too long.
    return all(any(os.path.exists(out / f"{stem}{end}") for end in ENDS[kind]) for kind in formats)  # noqa: PTH110


@dataclass(frozen=True)
class Known:
    """A source that was done.

    Attributes:
        said: What messages call it.
        state: From `state_of`.
    """

    said: str
    state: str


def state_of(files: Sequence[str]) -> str:
    """Where a source's files are and how they are, as far as that is known without reading them.

    Args:
        files: Its files; members of an archive and slices of a file count as that.
    """
    found = []
    for name in sorted(set(files)):
        path = Path(split_fragment(name)[0]).absolute()
        inside = next((one for one in (path, *path.parents) if one.exists()), path)
        about = inside.stat() if inside.exists() else None
        found.append([str(path), about.st_size, about.st_mtime_ns] if about else [str(path)])
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:32]


def note_source(out: Path, stem: str, known: Known) -> None:
    """Write down that the results of a source lie in a folder."""
    line = json.dumps({"stem": stem, **asdict(known)})
    with (out / SOURCES).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def read_sources(out: Path) -> dict[str, Known] | None:
    """What results are called → the source that they are of; None if that was not written down."""
    try:
        lines = (out / SOURCES).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    known = {}
    for line in lines:
        with suppress(ValueError, KeyError):  # a process that was killed may leave half of its last line
            one = json.loads(line)
            known[one["stem"]] = Known(one["said"], one["state"])
    return known


def _read(out: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((out / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return dict(SEVERAL)  # damaged: nobody knows
    return found


def _plain(job: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives it back."""
    plain: dict[str, Any] = json.loads(json.dumps(job, default=str))
    return plain
