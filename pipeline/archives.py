"""Zip archives as if they were folders: `study.zip/series1/IM0001` is a path.

Members are read where they are; only what a library must have as a file is unpacked, for as long as it is read.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import IO

from pipeline.errors import MissingFile, UnreadableImage, UnsupportedImage

__all__ = [
    "exists",
    "is_archive",
    "is_folder",
    "leading_out",
    "members_below",
    "on_disk",
    "open_binary",
    "split_archive",
    "time_of_change",
]

SUFFIX = ".zip"
LARGEST_MEMBER = 4 * 2**30
# A member that grows by more than this is made to fill the memory; black pictures reach about 1000.
LARGEST_GROWTH = 2000
ENCRYPTED = 0x1

_lock = threading.Lock()


def split_archive(path: str | os.PathLike[str]) -> tuple[str, str] | None:
    """The archive and the member (with forward slashes, "" for the archive itself) of a path that leads into one."""
    text = os.fspath(path)
    if SUFFIX not in text.lower():
        return None
    parts = Path(text).parts
    for count in range(1, len(parts) + 1):
        if parts[count - 1].lower().endswith(SUFFIX):
            archive = str(Path(*parts[:count]))
            if os.path.isfile(archive):  # noqa: PTH113
                return archive, "/".join(parts[count:])
    return None


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Whether the path is a zip archive itself."""
    found = split_archive(path)
    return found is not None and not found[1]


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether the path is a folder, an archive, or a folder in an archive."""
    found = split_archive(path)
    if found is None or not found[1]:
        return found is not None or os.path.isdir(path)  # noqa: PTH112
    return found[1] not in _opened(found[0]).names and bool(members_below(path))


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether a file, folder, or member of an archive is there."""
    found = split_archive(path)
    if found is None or not found[1]:
        return os.path.exists(path)  # noqa: PTH110
    names = _opened(found[0]).names
    return found[1] in names or any(name.startswith(f"{found[1]}/") for name in names)


def members_below(path: str | os.PathLike[str]) -> list[str]:
    """The files of an archive, or of a folder in it, as paths.

    Raises: UnreadableImage: if the archive is damaged.
    """
    found = split_archive(path)
    if found is None:
        return []
    archive, folder = found
    start = f"{folder}/" if folder else ""
    return [f"{archive}/{name}" for name in _opened(archive).names if name.startswith(start)]


def leading_out(path: str | os.PathLike[str]) -> list[str]:
    """The files of an archive that are none of its members, for their paths lead out of it.

    Raises: UnreadableImage: if the archive is damaged.
    """
    return [f"{os.fspath(path)}/{name}" for name in _opened(os.fspath(path)).outside] if is_archive(path) else []


def time_of_change(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Time of change, ns, and size, bytes, of a file or of the archive that it lies in."""
    found = split_archive(path)
    status = os.stat(found[0] if found is not None else path)  # noqa: PTH116
    return status.st_mtime_ns, status.st_size


@contextmanager
def open_binary(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file or a member of an archive for reading.

    Raises:
        MissingFile: if the archive has no such member.
        UnreadableImage: if the archive is damaged.
        UnsupportedImage: if it is encrypted, compressed in a rare way, or the member too large to read there.
        OSError: as `open`.
    """
    found = split_archive(path)
    if found is None:
        with Path(path).open("rb") as file:
            yield file
        return
    archive, member = found
    opened = _opened(archive)
    entry = opened.names.get(member)
    if entry is None:
        raise MissingFile(f"{os.fspath(path)}: the archive holds no such file.")
    if entry.flag_bits & ENCRYPTED:
        raise UnsupportedImage(f"{os.fspath(path)}: the archive is encrypted. Unpack it first.")
    if entry.file_size > LARGEST_MEMBER or entry.file_size > LARGEST_GROWTH * max(entry.compress_size, 64):
        raise UnsupportedImage(f"{os.fspath(path)}: too large to be read inside its archive. Unpack it first.")
    with _member(opened.file, entry, os.fspath(path)) as file:
        try:
            yield file
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise _damaged(os.fspath(path)) from error


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: str) -> IO[bytes]:
    try:
        return archive.open(entry)
    except OSError:
        raise
    except NotImplementedError as error:  # deflate64, as Windows packs what is large
        raise UnsupportedImage(
            f"{path}: compressed in a way that is not read in an archive. Unpack it first."
        ) from error
    except Exception as error:  # a damaged directory makes zipfile raise almost anything
        raise _damaged(path) from error


def _damaged(path: str) -> UnreadableImage:
    return UnreadableImage(f"{path}: damaged in its archive. Copy it again.")


@contextmanager
def on_disk(path: str, beside: Callable[[str], str | None] = lambda copy: None) -> Iterator[str]:
    """The path of a file that libraries can open: itself, or a copy of a member for as long as the block lasts.

    Args:
        path: A file or a member of an archive.
        beside: Says of a copy which other member its content names, by the path from its own folder; it is unpacked
            too, if it is there.
    Raises: UnsupportedImage: if that lies outside the folder; and as `open_binary`.
    """
    found = split_archive(path)
    if found is None or not found[1]:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="planar-") as folder:
        copy = os.path.join(folder, os.path.basename(path))  # noqa: PTH118, PTH119
        _unpack(path, Path(copy))
        other = beside(copy)
        if other is not None:
            inside = PureWindowsPath(other)  # which knows the separators of all systems
            if inside.anchor or ".." in inside.parts:
                raise UnsupportedImage(f"{path}: its data file {other} lies elsewhere. Unpack the archive first.")
            member = "/".join([os.path.dirname(path), *inside.parts])  # noqa: PTH120
            if exists(member) and not is_folder(member):
                _unpack(member, Path(folder, *inside.parts))
        yield copy


def _unpack(member: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_binary(member) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, 2**20)


class _Archive:
    """An open archive: its members by name, without folders."""

    def __init__(self, path: str) -> None:
        try:
            self.file = zipfile.ZipFile(path)
        except OSError:
            raise
        except Exception as error:  # a damaged directory makes zipfile raise almost anything
            raise UnreadableImage(f"{path}: the zip archive is damaged or cut short. Copy it again.") from error
        files = {entry.filename: entry for entry in self.file.infolist() if entry.filename and not entry.is_dir()}
        self.names = {name: entry for name, entry in files.items() if _stays_inside(name)}
        self.outside = [name for name in files if not _stays_inside(name)]


def _stays_inside(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/")


def _opened(archive: str) -> _Archive:
    # A process of its own must not share the place in the file with its parent.
    with _lock:
        return _open(archive, time_of_change(archive), os.getpid())


@lru_cache(maxsize=8)
def _open(archive: str, _changed: tuple[int, int], _process: int) -> _Archive:
    return _Archive(archive)
