"""Get a public set: fetched or taken from where the user has put it, unpacked, checked and indexed."""

from __future__ import annotations

import csv
import glob
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.atomic import write_text_aside
from pipeline.bundle import shipped_folder
from pipeline.digests import file_sha256
from pipeline.errors import DownloadFailed, InvalidOption, MissingFile, OutputExists
from pipeline.planning import read_task_spec
from pipeline.public_sets import PublicSet, count_files, fetch, masks_of_outlines, unpack
from pipeline.public_sets.checking import places
from pipeline.split import Fractions
from pipeline.tasks.index import (
    IndexOptions,
    IndexResult,
    LabelOptions,
    PairingOptions,
    SplitOptions,
    SubjectOptions,
    index_set,
)

__all__ = ["GetOptions", "GetResult", "get_set", "index_options"]

# Of the pictures that a publisher gives for training, every tenth is held back to choose the epoch by.
HELD_BACK = 10


@dataclass(frozen=True)
class GetOptions:
    """How a set is got.

    Attributes:
        accepted: The user has seen the terms and accepts them.
        source: Folder or zip archive of what was downloaded by hand.
        as_it_is: Sizes and counts may be others than the catalogue's.
        split: Shares of training, validation and test; None for the publisher's own division or 0.7, 0.1, 0.2.
        seed: Of the split.
        workers: Processes that index; None for one a core.
    """

    accepted: bool = False
    source: Path | None = None
    as_it_is: bool = False
    split: Fractions | None = None
    seed: int = 0
    workers: int | None = None


@dataclass(frozen=True)
class GetResult:
    """What is there now.

    Attributes:
        datalist: The datalist.
        index: What the index says of it.
        digests: SHA-256 by file that was fetched.
        notes: What is another than expected.
    """

    datalist: Path
    index: IndexResult
    digests: Mapping[str, str]
    notes: tuple[str, ...]


def get_set(
    entry: PublicSet,
    folder: Path,
    options: GetOptions,
    *,
    on_bytes: Callable[[str, int, int | None], None] = lambda name, done, total: None,
    on_index: Callable[[str, int, int], None] = lambda stage, done, total: None,
    pause_s: float | None = None,
) -> GetResult:
    """Get a set into a folder; what has been fetched is not fetched again.

    Args:
        entry: The set.
        folder: Where archives, files and `datalist.json` go.
        options: How.
        on_bytes: Told of file, bytes done and in all.
        on_index: Told of the index's stage, cases done and in all.
        pause_s: Before another attempt to connect, s; None for the usual.

    Raises:
        InvalidOption: if the terms are not accepted, or a source is given that is not needed.
        MissingFile: if the set can only be had by hand and nothing was given, with the steps.
        OutputExists: if the folder has a datalist.
        DownloadFailed: if something cannot be fetched or is not what it should be.
    """
    if not options.accepted:
        raise InvalidOption(f"The terms of {entry.name} must be accepted first: {entry.terms} Give --accept-terms.")
    if entry.by_hand and options.source is None:
        steps = " ".join(f"({number}) {step}" for number, step in enumerate(entry.by_hand, 1))
        raise MissingFile(f"{entry.name} is downloaded by yourself, in these steps: {steps}")
    if not entry.by_hand and options.source is not None:
        raise InvalidOption(f"{entry.name} is fetched as a whole: leave out --from.")
    datalist = folder / "datalist.json"
    if datalist.exists():
        raise OutputExists(f"{datalist} exists. Give another folder with -o, or delete it to index the set again.")
    folders: dict[str, Path] = {}
    notes: list[str] = []
    digests: dict[str, str] = {}
    # What the user has given is looked at before gigabytes are fetched to go with it.
    if options.source is not None:
        notes += _counted(entry, "by_hand", _given(options.source, folder), folders, options)
    if entry.files:
        digests = _fetch_all(entry, folder, options, on_bytes, pause_s)
        notes += _counted(entry, "files", folder / "files", folders, options)
    if entry.outlines:
        folders["masks"] = folder / "masks"
        _draw(entry.outlines, folders)
    result = index_set(
        places(entry.index["images"], folders),
        [places(masks, folders) for masks in entry.index["masks"]],
        datalist,
        index_options(entry, folder, folders, options),
        on_progress=on_index,
    )
    return GetResult(datalist, result, digests, tuple(notes))


def _counted(entry: PublicSet, name: str, found: Path, folders: dict[str, Path], options: GetOptions) -> list[str]:
    """Add a folder to those of the set, and count its files."""
    folders[name] = found
    counts = {pattern: number for pattern, number in entry.counts.items() if f"{{{name}}}" in pattern}
    return count_files(entry.name, counts, {name: found}, any_number=options.as_it_is)


def _given(source: Path, folder: Path) -> Path:
    """The folder of what was downloaded by hand; an archive is unpacked."""
    if source.is_dir():
        return source.resolve()
    if not source.exists():
        raise MissingFile(f"{source} is not there; expected the archive, or the folder that it was unpacked into.")
    target = folder / "by_hand"
    unpack(source, target)
    return target


def _fetch_all(
    entry: PublicSet,
    folder: Path,
    options: GetOptions,
    on_bytes: Callable[[str, int, int | None], None],
    pause_s: float | None,
) -> dict[str, str]:
    """Fetch and unpack; the digests of what came, which are also written to `fetched.json`."""
    digests: dict[str, str] = {}
    for file in entry.files:
        pause = {} if pause_s is None else {"pause_s": pause_s}
        archive = fetch(
            file,
            folder / "archives",
            any_size=options.as_it_is,
            on_progress=lambda done, total, name=file.name: on_bytes(name, done, total),  # type: ignore[misc]
            **pause,
        )
        digests[file.name] = file_sha256(archive)
        unpack(archive, folder / "files" / archive.stem if len(entry.files) > 1 else folder / "files")
    if digests:
        said = {
            "set": entry.name,
            "terms": entry.terms,
            "files": [
                {"url": file.url, "name": file.name, "sha256": digests[file.name], "expected_sha256": file.sha256}
                for file in entry.files
            ],
        }
        write_text_aside(folder / "fetched.json", json.dumps(said, indent=2, ensure_ascii=False) + "\n")
    return digests


def _draw(outlines: Mapping[str, str], folders: Mapping[str, Path]) -> None:
    pictures = _found(outlines["pictures"], folders)
    texts = {_number(path, outlines["text_number"]): path for path in _found(outlines["texts"], folders)}
    by_picture = {
        path.stem: texts[number] for path in pictures if (number := _number(path, outlines["picture_number"])) in texts
    }
    if not masks_of_outlines(pictures, by_picture, folders["masks"]):
        raise DownloadFailed(f"{folders['by_hand']}: not one outline belongs to a picture. Look into the folder.")


def _found(pattern: str, folders: Mapping[str, Path]) -> list[Path]:
    return [Path(path) for path in sorted(glob.glob(places(pattern, folders), recursive=True))]  # noqa: PTH207


def _number(path: Path, pattern: str) -> str:
    found = re.search(pattern, path.stem)
    return found[1] if found else ""


def index_options(entry: PublicSet, folder: Path, folders: Mapping[str, Path], options: GetOptions) -> IndexOptions:
    """How the set is indexed.

    Args:
        entry: The set.
        folder: Of the set, for the table of the publisher's division.
        folders: Folder by its name in the catalogue's globs.
        options: Of the user.
    """
    said: Mapping[str, Any] = entry.index
    configs = shipped_folder("configs")
    task = read_task_spec(configs / "tasks" / f"{entry.task}.yaml") if configs is not None else None
    own = task if "threshold" not in said else None
    column = None
    if "test" in said and options.split is None:
        column = f"{_division(said, folder, folders)}:part@file"
    return IndexOptions(
        name=entry.name,
        modality=task.modality if task is not None else None,
        labels=LabelOptions(
            class_names=tuple(said.get("class_names", ())),
            merge=bool(said.get("merge", False)),
            threshold=said.get("threshold"),
            task=own,
        ),
        pairing=PairingOptions(image_pattern=said.get("pattern"), mask_pattern=said.get("pattern")),
        subjects=SubjectOptions(pattern=said.get("subject_pattern")),
        split=SplitOptions(fractions=options.split or Fractions(), seed=options.seed, column=column),
        workers=options.workers,
    )


def _division(said: Mapping[str, Any], folder: Path, folders: Mapping[str, Path]) -> Path:
    """Write the publisher's division as a table of files and parts."""
    pictures = _found(said["images"], folders)
    test = [re.search(said["test"], path.as_posix()) is not None for path in pictures]
    training = [path for path, is_test in zip(pictures, test, strict=True) if not is_test]
    held_back = set(training[HELD_BACK - 1 :: HELD_BACK])
    path = folder / "division.csv"
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "part"))
        for picture, is_test in zip(pictures, test, strict=True):
            part = "test" if is_test else "validation" if picture in held_back else "training"
            writer.writerow((picture.name, part))
    return path
