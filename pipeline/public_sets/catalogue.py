"""What is known of each public set: a small YAML file in `configs/sets`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipeline.bundle import shipped_folder
from pipeline.errors import InvalidOption, MissingFile

__all__ = ["PublicSet", "RemoteFile", "find_set", "shipped_sets"]

UNKNOWN = "unknown"


@dataclass(frozen=True)
class RemoteFile:
    """One file of a set on its publisher's server.

    Attributes:
        url: Where it is.
        name: Its name here.
        size: Bytes; None where it is not known.
        sha256: Hexadecimal digits; None where its publisher gives none.
    """

    url: str
    name: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class PublicSet:
    """A public set.

    Attributes:
        name: What `planar data get` calls it.
        title: One line.
        task: Of `configs/tasks`.
        homepage: Where it is described.
        terms: What its publisher asks for, to be confirmed before anything is fetched.
        cite: The publication to name.
        files: What can be fetched.
        by_hand: Steps to what cannot be fetched, for a login or an agreement is in the way; none where all can be.
        counts: Files that must be there, by glob; `{files}` stands for what was fetched, `{by_hand}` for what was
            given.
        without_mask: Images that have no mask, as published; they are left out.
        index: How the set is indexed; see `pipeline.tasks.public_data`.
        outlines: Masks that are drawn from text files of outlines first, if any.
        sources: Where these facts are from, and what could not be verified.
    """

    name: str
    title: str
    task: str
    homepage: str
    terms: str
    cite: str
    sources: str
    files: tuple[RemoteFile, ...] = ()
    by_hand: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    without_mask: int = 0
    index: Mapping[str, Any] = field(default_factory=dict)
    outlines: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int | None:
        """Bytes to fetch; None if that is not known of all files."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


def shipped_sets() -> dict[str, PublicSet]:
    """The sets that came with the installation, by name."""
    configs = shipped_folder("configs")
    paths = sorted((configs / "sets").glob("*.yaml")) if configs is not None else []
    return {path.stem: read_set(path) for path in paths}


def find_set(name: str) -> PublicSet:
    """The set of that name.

    Raises: MissingFile: if there is none, with the names that there are.
    """
    known = shipped_sets()
    if name not in known:
        raise MissingFile(f"There is no public set '{name}'; expected one of {', '.join(known)}. See planar data list.")
    return known[name]


def read_set(path: Path) -> PublicSet:
    """Read a set's file.

    Raises: InvalidOption: if it is none.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        files = tuple(_remote(entry) for entry in content.pop("files", []))
        by_hand = tuple(str(step) for step in content.pop("by_hand", []))
        content |= {key: " ".join(str(content[key]).split()) for key in ("title", "terms", "cite", "sources")}
        return PublicSet(name=path.stem, files=files, by_hand=by_hand, **content)
    except (AttributeError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise InvalidOption(
            f"{path}: is no description of a public set ({str(error).splitlines()[0]}). Mend it."
        ) from error


def _remote(entry: Mapping[str, Any]) -> RemoteFile:
    size, sha256 = entry["bytes"], str(entry["sha256"]).lower()
    if sha256 != UNKNOWN and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(f"sha256 of {entry['name']} is {sha256}, neither 64 hexadecimal digits nor unknown")
    if Path(entry["name"]).name != entry["name"]:
        raise ValueError(f"{entry['name']} is no plain file name")
    return RemoteFile(
        url=str(entry["url"]),
        name=str(entry["name"]),
        size=None if size == UNKNOWN else int(size),
        sha256=None if sha256 == UNKNOWN else sha256,
    )
