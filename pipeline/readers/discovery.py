"""Find the pictures that a user means by files, folders and globs."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pipeline.archives import exists, is_archive, is_folder, leading_out, members_below, split_archive
from pipeline.errors import MissingFile
from pipeline.fragments import split_fragment
from pipeline.readers.container import SUFFIXES, is_cut_short, is_dicom, suffix_of

__all__ = ["find_pictures", "natural_order", "passed_over"]

DICOMDIR = "DICOMDIR"
OTHER_PICTURES = frozenset({".avif", ".heic", ".j2k", ".jp2", ".jxl", ".pgm", ".pnm", ".ppm", ".svs", ".webp"})
# A pair of NIfTI or Analyze files by its header.
OTHER_VOLUMES = frozenset({".hdr", ".mgh", ".mgz", ".mnc"})


def find_pictures(inputs: Iterable[str | os.PathLike[str]], *, recursive: bool = True) -> list[str]:
    """The picture files among what a user named.

    In folders, zip archives and globs a picture is known by its suffix, and a file without a known suffix by the DICOM
    magic number; beside such files also one that is empty, cut off before it, or cannot be opened, so that reading says
    so. Hidden files and folders are left out. A DICOMDIR that is named stands for the files that it lists,
    those that are missing included; in a folder it is passed over, for the files lie there too. A file named outright
    is taken whatever it is, so that reading it says what is wrong with it.

    Args:
        inputs: Files (a fragment `#slice=K` stays on), folders, zip archives, DICOMDIRs, globs (`**` for any depth).
        recursive: Look into folders within folders.
    Returns: Paths, each once; the inputs in their order, what each stands for in natural order (2 before 10).
    Raises: MissingFile: if an input is not there or holds no picture.
    """
    found: dict[str, str] = {}
    for entry in (os.fspath(given) for given in inputs):
        if not entry:  # which Path takes for the current folder
            raise MissingFile("An input is empty, as a variable is that is not set. Give . for the current folder.")
        name, number = split_fragment(entry)
        path = Path(name)
        if path.is_dir() and number is None:
            files = _in_folder(path, recursive)
            missing = f"{entry}: no pictures in this folder."
        elif split_archive(entry) is not None and is_folder(entry):
            members = members_below(entry)
            files = _pictures([Path(file) for file in members if _is_seen(file, entry)])
            missing = f"{entry}: no pictures in this archive."
            if any(suffix_of(member) == ".zip" for member in members):
                missing += " Unpack it: it holds archives."
        elif path.name == DICOMDIR and path.is_file():
            from pipeline.readers.dicomdir import files_listed

            files, missing = files_listed(entry), f"{entry}: the DICOMDIR lists no images."
        elif exists(path):
            files, missing = [entry], ""
        elif glob.has_magic(entry):
            matches = (Path(match) for match in glob.glob(entry, recursive=True))  # noqa: PTH207  (absolute patterns)
            files = [str(match) for match in matches if match.is_file() and _is_picture(match)]
            missing = f"{entry}: no picture matches."
        else:
            files, missing = [], f"{entry}: no such file or folder."
        if not files:
            raise MissingFile(missing + (_held_instead(path, recursive) if path.is_dir() else ""))
        for file in sorted(files, key=natural_order):
            # Under one key whichever way it is written: a.png, ./a.png and its absolute path are one picture.
            found.setdefault(os.path.abspath(file), file)  # noqa: PTH100
    return list(found.values())


def passed_over(inputs: Iterable[str | os.PathLike[str]], *, recursive: bool = True) -> list[tuple[str, str]]:
    """What `find_pictures` left out of folders although a user may mean it, each with the reason.

    These are links to folders, which are not followed because they may lead round in a circle, pictures in formats that
    are not read, and zip archives; in a zip archive those in it, and files whose paths lead out of it.
    """
    named = [os.fspath(given) for given in inputs]
    found = []
    for entry in named:
        if is_archive(entry):
            nested = [name for name in members_below(entry) if suffix_of(name) == ".zip" and _is_seen(name, entry)]
            found += [(name, "an archive in an archive, not opened. Unpack it") for name in nested]
            found += [(name, "its path leads out of the archive; not read") for name in leading_out(entry)]
    for folder in map(Path, named):
        for root, folders, names in os.walk(folder) if folder.is_dir() else ():
            links = [name for name in folders if Path(root, name).is_symlink()]
            found += [
                (str(Path(root, name)), "a link to a folder, not followed. Name it as an input") for name in links
            ]
            found += [
                (str(Path(root, name)), f"a format that is not read. Convert it to {known}")
                for others, known in ((OTHER_PICTURES, "PNG or TIFF"), (OTHER_VOLUMES, "NIfTI (.nii.gz)"))
                for name in names
                if suffix_of(name) in others and not name.startswith(".")
            ]
            archives = [Path(root, name) for name in names if suffix_of(name) == ".zip" and not name.startswith(".")]
            found += [
                (str(path), "an archive, not opened. Name it as an input") for path in archives if is_archive(path)
            ]
            folders[:] = [name for name in folders if recursive and not name.startswith((".", "__MACOSX"))]
    return sorted(found, key=lambda entry: natural_order(entry[0]))


def natural_order(path: str) -> list[str | int]:
    """Sort key that puts `image_2` before `image_10`."""
    return [int(part) if part.isdecimal() else part.lower() for part in re.split(r"(\d+)", path)]


def _in_folder(folder: Path, recursive: bool) -> list[str]:
    files: list[str] = []
    for root, folders, names in os.walk(folder, onerror=_unreadable_folder):
        folders[:] = [name for name in folders if recursive and not name.startswith((".", "__MACOSX"))]
        files.extend(_pictures([Path(root, name) for name in names]))
    return files


def _is_seen(member: str, archive: str) -> bool:
    """Whether no folder of an archive's member is hidden."""
    folders = member[len(archive) :].split("/")[:-1]
    return not any(name.startswith((".", "__MACOSX")) for name in folders)


def _held_instead(folder: Path, recursive: bool) -> str:
    """What a folder without pictures does hold, and what to do with it."""
    files = [
        path for path in (folder.rglob("*") if recursive else folder.iterdir()) if path.is_file() and _may_be_seen(path)
    ]
    archives = sum(is_archive(path) for path in files if suffix_of(path) == ".zip")
    if archives:
        return f" Name its {archives} zip archive{'s' * (archives > 1)} to read what is in them."
    if not files:
        return " It holds no files."
    suffix, count = Counter(suffix_of(path) for path in files).most_common(1)[0]
    what = "{} file{}" if suffix else "file{1} without suffix"
    held = what.format(suffix, "s" * (count > 1))
    return f" It holds {count} {held}, which {'are' if count > 1 else 'is'} not read: convert to PNG, TIFF or NIfTI."


def _unreadable_folder(error: OSError) -> None:
    # Without this, os.walk passes over a folder that it may not open, and nobody learns of its pictures.
    raise error


def _pictures(paths: list[Path]) -> list[str]:
    """The pictures among files."""
    found = [path for path in paths if _is_picture(path)]
    nameless = {path.parent for path in found if suffix_of(path) not in SUFFIXES}
    known = set(found)
    rest = [path for path in paths if path.parent in nameless and path not in known and _may_be_seen(path)]
    found += [path for path in rest if is_cut_short(str(path))]
    return [str(path) for path in found]


def _may_be_seen(path: Path) -> bool:
    return not path.name.startswith(".") and path.name != DICOMDIR


def _is_picture(path: Path) -> bool:
    return _may_be_seen(path) and (suffix_of(path) in SUFFIXES or is_dicom(str(path)))
