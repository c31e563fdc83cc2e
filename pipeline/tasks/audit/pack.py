"""A pack: the record of a run as one zip file, which is checked without MLflow.

pack.json         what it is, and the SHA-256 of every other file
signature.json    of pack.json, if it is signed
README.txt        what all this is
report.html, model_card.md, checklist.md
weights/model.pt  where the record itself holds no weights
runs/<id>/run.json, runs/<id>/artifacts/…   the run, and those that belong to it

What is written into it is chosen in `contents`.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.atomic import written_aside
from pipeline.digests import file_sha256
from pipeline.errors import InvalidPack, MissingFile
from pipeline.tasks.audit.check import Check, failed, passed
from pipeline.tasks.audit.signing import check_signature, signature_of
from pipeline.tracking import RunFacts

__all__ = ["FORMAT", "WEIGHTS", "Pack", "is_name", "is_pack", "open_pack", "write_pack"]

FORMAT = "planar-pack/1"
LIST, SIGNATURE = "pack.json", "signature.json"
WEIGHTS = "weights/model.pt"
# The same record gives the same bytes: no file of a pack has a time of its own.
EPOCH = (1980, 1, 1, 0, 0, 0)
# What does not become smaller.
STORED = (".pt", ".png", ".webp", ".jpg", ".gz", ".zip")


@dataclass(frozen=True)
class Pack:
    """A pack that has been opened.

    Attributes:
        runs: Each run in it by its id; those whose description cannot be read are left out.
        main: The id of the run that it is about.
        left_out: Artifacts of each run that are not in it.
        weights: The weights, where no run's own artifacts have them.
        documents: What is written for people, by name: "model_card.md".
        wording: By which code they were written; empty if it does not say.
        checks: Whether its files are those of its list, and its signature.
    """

    runs: Mapping[str, RunFacts]
    main: str
    left_out: Mapping[str, tuple[str, ...]]
    weights: Path | None
    documents: Mapping[str, Path]
    wording: str
    checks: tuple[Check, ...]


def is_pack(text: str) -> bool:
    """Whether what a user gives for a run is the path of a pack."""
    return text.lower().endswith(".zip")


def is_name(name: str) -> bool:
    """Whether a file of a pack may be called so: it lies in the folder that the pack is opened in, on every system."""
    path = PurePosixPath(name)
    plain = name == path.as_posix() and not path.is_absolute() and not set(name) & set("\\:\0")
    return plain and bool(path.parts) and ".." not in path.parts


def write_pack(
    path: Path,
    main: str,
    files: Mapping[str, Path | bytes],
    about: Mapping[str, Any],
    key: Path | None = None,
) -> None:
    """Write a pack, whole or not at all.

    Args:
        path: The zip file.
        main: The run it is about.
        files: The content of each file by its name in the pack.
        about: What else its list says, such as "left_out".
        key: Private key to sign it with.
    """
    listed = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        if isinstance(content, bytes)
        else {"sha256": file_sha256(content), "bytes": content.stat().st_size}
        for name, content in sorted(files.items())
    }
    text = json.dumps({"format": FORMAT, "run": main, **about, "files": listed}, indent=2) + "\n"
    first: dict[str, Path | bytes] = {LIST: text.encode()}
    if key is not None:
        first[SIGNATURE] = signature_of(text.encode(), key).encode()
    with written_aside(path) as aside, zipfile.ZipFile(aside, "w") as archive:
        for name, content in [*first.items(), *sorted(files.items())]:
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.external_attr = 3, 0o644 << 16  # on every system as on Unix
            info.compress_type = zipfile.ZIP_STORED if name.endswith(STORED) else zipfile.ZIP_DEFLATED
            if isinstance(content, bytes):
                archive.writestr(info, content)
                continue
            info.file_size = content.stat().st_size
            with content.open("rb") as source, archive.open(info, "w") as target:
                while block := source.read(1 << 20):
                    target.write(block)


def open_pack(path: Path, folder: Path, key: Path | None = None) -> Pack:
    """Check the files of a pack against its list, and take them out of it.

    Args:
        path: The zip file.
        folder: Where its files are put.
        key: Public key that it must be signed by.

    Raises:
        MissingFile: if there is no such file.
        InvalidPack: if it is no pack, or its list cannot be read.
    """
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise MissingFile(f"{path} is not there; expected a pack of planar audit export.") from None
    except IsADirectoryError:
        raise InvalidPack(f"{path}: is a folder; expected the zip file of planar audit export.") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise InvalidPack(f"{path}: is no zip file, or a damaged one. Export the run again.") from error
    with archive:
        content, listed = _list_of(archive, path)
        names = archive.namelist()
        signature = archive.read(SIGNATURE) if SIGNATURE in names else None
        wrong = [f"{name} (more than once)" for name in sorted({name for name in names if names.count(name) > 1})]
        wrong += [f"{name} (added)" for name in names if name not in listed["files"] and name not in (LIST, SIGNATURE)]
        for name, entry in listed["files"].items():
            wrong += _take_out(archive, name, entry, folder)
    whole = passed("pack", f"{len(listed['files'])} files have the digests of the pack's list")
    changed = failed("pack", f"{len(wrong)} of {len(listed['files'])} files are not those of its list", wrong)
    runs: dict[str, RunFacts] = {}
    names = [name for name in listed["files"] if is_name(name)]
    for name in names:
        parts = PurePosixPath(name).parts
        if len(parts) == 3 and parts[0] == "runs" and parts[2] == "run.json":
            found = _run(folder, parts[1], names)
            runs |= {} if found is None else {parts[1]: found}
    return Pack(
        runs=runs,
        main=str(listed["run"]),
        left_out={run: tuple(paths) for run, paths in listed.get("left_out", {}).items()},
        weights=folder / WEIGHTS if (folder / WEIGHTS).is_file() else None,
        documents={name: folder / name for name in names if "/" not in name},
        wording=str(listed.get("wording", "")),
        checks=(changed if wrong else whole, check_signature(content, signature, key)),
    )


def _list_of(archive: zipfile.ZipFile, path: Path) -> tuple[bytes, dict[str, Any]]:
    if LIST not in archive.namelist():
        raise InvalidPack(f"{path}: is a zip file, but no pack: it has no {LIST}. Expected one of planar audit export.")
    try:
        content = archive.read(LIST)
        listed = json.loads(content)
        if listed["format"] != FORMAT or not isinstance(listed["files"], dict) or not isinstance(listed["run"], str):
            raise ValueError(f"the format is {listed['format']!r}, expected {FORMAT!r}")
        if not isinstance(listed.get("left_out", {}), dict):
            raise ValueError("left_out is no object")
    except (KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise InvalidPack(
            f"{path}: is no pack of planar audit export, its {LIST} cannot be read ({error}). Export the run again."
        ) from error
    return content, listed


def _take_out(archive: zipfile.ZipFile, name: str, entry: Any, folder: Path) -> Sequence[str]:
    """Write one file of a pack to the disk; what is wrong with it."""
    if not is_name(name):
        return [f"{name!r} (no name for a file of a pack)"]
    expected = entry if isinstance(entry, dict) else {}
    try:
        if archive.getinfo(name).file_size != expected.get("bytes"):  # before it fills the disk
            return [f"{name} (another size)"]
        digest = hashlib.sha256()
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as source, target.open("wb") as file:
            while block := source.read(1 << 20):
                digest.update(block)
                file.write(block)
    except KeyError:
        return [f"{name} (gone)"]
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        return [f"{name} (cannot be read: {error})"]
    except Exception as error:  # a damaged stream raises what its decompressor has
        return [f"{name} (cannot be read: {type(error).__name__})"]
    return [] if digest.hexdigest() == expected.get("sha256") else [name]


def _run(folder: Path, run_id: str, names: Sequence[str]) -> RunFacts | None:
    start = f"runs/{run_id}/artifacts/"
    files = tuple(
        name.removeprefix(start) for name in names if name.startswith(start) and folder.joinpath(name).is_file()
    )
    try:
        content = json.loads((folder / "runs" / run_id / "run.json").read_text(encoding="utf-8"))
        return RunFacts.of_document(content, tuple(sorted(files)), lambda path: folder / start / path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
