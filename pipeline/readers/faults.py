"""Whatever a decoding library raises becomes one line of ours that names the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten

from pipeline.errors import GeometryMismatch, PlanarError, UnreadableImage, UnsupportedImage
from pipeline.readers.quiet import quiet_libraries

__all__ = ["library_errors"]

# What pydicom quotes of its own words; whatever else it quotes was in the file, and may be a patient's name.
ELEMENTS = frozenset(
    {
        "Bits Allocated",
        "Bits Stored",
        "Columns",
        "Number of Frames",
        "Photometric Interpretation",
        "Pixel Data",
        "Pixel Representation",
        "Planar Configuration",
        "Rows",
        "Samples per Pixel",
    }
)
QUOTED = re.compile(r"(['\"])(.*?)\1", re.DOTALL)


@contextmanager
def library_errors(file: str, container: str) -> Iterator[None]:
    """Within it the libraries are quiet, and what they raise about a file is UnreadableImage.

    Args:
        file: The file or folder that is read.
        container: What it is, for the message.
    """
    try:
        with quiet_libraries():
            yield
    except GeometryMismatch as error:
        raise UnsupportedImage(f"{file}: {error}") from error
    except PlanarError:
        raise
    except OSError as error:
        if error.errno is not None:  # no permission, no such device: the system's own words are clear
            raise
        raise _unreadable(file, container, error) from error
    except MemoryError as error:
        raise UnsupportedImage(f"{file}: too large for the memory of this machine.") from error
    except Exception as error:
        raise _unreadable(file, container, error) from error


def _unreadable(file: str, container: str, error: Exception) -> UnreadableImage:
    said = str(error).replace(file, "it")
    if container in ("DICOM", "DICOMDIR", "series"):
        said = _without_values(said)
    if "ERROR:" in said:  # ITK: where in its source, then what
        said = said.rpartition("ERROR:")[2].strip().splitlines()[-1]
    said = shorten(said, 120, placeholder=" …").rstrip(". ") or type(error).__name__
    return UnreadableImage(f"{file}: the {container} file is damaged or cut short ({said}). Copy or export it again.")


def _without_values(said: str) -> str:
    """A library's words without what it quotes of the file."""
    said = QUOTED.sub(lambda found: found[0] if found[2] in ELEMENTS else "'…'", said)
    return "".join(letter if letter.isprintable() else " " for letter in said)
