"""Unpacking an archive of somebody else's without letting it write where it should not, or fill the disk."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from pipeline.atomic import replace_folder
from pipeline.errors import DownloadFailed

__all__ = ["unpack"]

ENCRYPTED = 0x1
# Pictures hardly shrink: an archive that grows by more than this is made to fill the disk.
LARGEST_GROWTH = 100
SMALL = 1 << 24  # below it growth does not matter: masks of 32 bits shrink by more
# What desktops leave in archives.
LITTER = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")


def unpack(archive: Path, folder: Path) -> int:
    """Unpack a zip archive; the folder appears whole, or not at all.

    Left out are what desktops put into archives (`__MACOSX`, `Thumbs.db`).

    Args:
        archive: The archive.
        folder: Where its files go; one that is there is replaced.
    Returns: Number of files.
    Raises: DownloadFailed: if it is no zip archive or is damaged, if a member leads out of the folder, is a link or
        encrypted, or if all of it would not fit on the disk.
    """
    aside = folder.with_name(f".part-{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [
                member for member in packed.infolist() if not member.is_dir() and not _is_litter(member.filename)
            ]
            for member in members:
                _require_harmless(archive, member)
            _require_room(archive, members, folder)
            aside.mkdir(parents=True)
            for member in members:
                packed.extract(member, aside)
    except zipfile.BadZipFile as error:
        raise DownloadFailed(f"{archive}: {_told(archive, error)}") from error
    except (zlib.error, EOFError, NotImplementedError) as error:
        raise DownloadFailed(f"{archive}: is damaged ({error}). Throw it away and get it again.") from error
    else:
        replace_folder(aside, folder)
        return len(members)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _told(archive: Path, error: zipfile.BadZipFile) -> str:
    if zipfile.is_zipfile(archive):
        return f"is damaged ({error}). Throw it away and get it again."
    with archive.open("rb") as file:
        begins = file.read(24)
    if begins.startswith(b"Rar!"):
        return "is a RAR archive. Unpack it (unar does) and give the folder with --from."
    if begins.startswith(b"PK"):
        return "is cut short: it begins as a zip archive and lacks its end. Throw it away and get it again."
    return f"is no zip archive (it begins with {begins!r}). Throw it away and get it again."


def _is_litter(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part in LITTER or part.startswith("._") for part in parts)


def _require_harmless(archive: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename
    parts = PurePosixPath(name.replace("\\", "/")).parts
    wrong = ""
    if name.startswith(("/", "\\")) or ".." in parts or (parts and ":" in parts[0]):
        wrong = "leads out of the folder"
    elif stat.S_ISLNK(member.external_attr >> 16):
        wrong = "is a link"
    elif member.flag_bits & ENCRYPTED:
        wrong = "is encrypted"
    elif member.file_size > max(SMALL, LARGEST_GROWTH * member.compress_size):
        wrong = f"grows from {member.compress_size} to {member.file_size} bytes"
    if wrong:
        raise DownloadFailed(f"{archive}: its member {name!r} {wrong}; nothing was unpacked. Do not use this archive.")


def _require_room(archive: Path, members: list[zipfile.ZipInfo], folder: Path) -> None:
    needed = sum(member.file_size for member in members)
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if needed > free:
        raise DownloadFailed(
            f"{archive}: unpacked it has {needed} bytes, {folder.parent} has room for {free}. Make room."
        )
