"""Files and folders appear whole under their final name, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["NO_ROOM", "replace_folder", "write_text_aside", "written_aside"]

# The system's numbers for a file that finds no room: a full disk, a quota, a limit on the size of files.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# What writing meets, and the system does not say of which file. Not a connection's, which may break meanwhile.
OF_THE_DISK = NO_ROOM | {errno.EIO, errno.EROFS}


@contextmanager
def written_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A hidden name beside `path` to write to; renamed to `path` when the block ends well, removed otherwise.

    The hidden name keeps the suffix, for writers that choose their format by it. Folders are made as needed.

    Raises: OSError: with the final name, where the disk takes no more.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    aside = final.with_name(f".part-{os.getpid()}-{final.name}")
    try:
        yield aside
        aside.replace(final)
    except OSError as error:
        if error.errno not in OF_THE_DISK or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(final)) from error
    finally:
        aside.unlink(missing_ok=True)


def write_text_aside(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file whole or not at all; of names of files that are no UTF-8 the bytes are escaped."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")


def replace_folder(new: Path, final: Path) -> None:
    """Give a folder its final name, in place of one that has it, which is removed.

    There is no way to exchange two folders at once everywhere: for an instant between two renames neither has the name.
    Whatever fails or interrupts there, the former one is given its name back.

    Args:
        new: A whole folder beside `final`.
        final: Its name to be.
    """
    former = final.with_name(f".part-{os.getpid()}-former-{final.name}")
    try:
        if final.exists():
            final.rename(former)
        new.rename(final)
    finally:
        if former.exists():
            if final.exists():
                shutil.rmtree(former, ignore_errors=True)
            else:
                former.rename(final)
