"""What made a result: a model, with its name, version and weights; or people."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline import __version__
from pipeline.bundle import Bundle
from pipeline.digests import file_sha256

__all__ = ["Algorithm", "Annotation", "algorithm_of"]

# Characters of a DICOM long string.
LONG_STRING = 64
# A title is followed by a word of its own in the description of some series.
ROOM = len(" overlay")


@dataclass(frozen=True)
class Algorithm:
    """What DICOM is told of a model.

    Attributes:
        name: Of the bundle.
        version: Of the bundle.
        weights_sha256: Of each checkpoint; several are averaged.
        software: Planar and its version.
        description: What it does, for people; by default its name.
    """

    name: str
    version: str
    weights_sha256: tuple[str, ...]
    software: str = f"planar {__version__}"
    description: str = ""

    @property
    def digest(self) -> str:
        """One SHA-256 for the weights: the checkpoint's own, or one over those of an ensemble."""
        if len(self.weights_sha256) == 1:
            return self.weights_sha256[0]
        return hashlib.sha256(" ".join(self.weights_sha256).encode()).hexdigest()

    @property
    def title(self) -> str:
        """What it does and its version, for a series' description."""
        version = f" {self.version}"
        return f"{(self.description or self.name)[: LONG_STRING - ROOM - len(version)].rstrip()}{version}"


@dataclass(frozen=True)
class Annotation:
    """What DICOM is told of a mask that people drew; in the place of an `Algorithm`.

    Attributes:
        saved: When, ISO 8601 with its offset from UTC.
        name: Of the program that it was saved with.
        version: Of that.
        software: Planar and its version.
    """

    saved: str
    name: str = "MONAI Label"
    version: str = "1"
    software: str = f"planar {__version__}"

    @property
    def digest(self) -> str:
        """The same for all annotations, so that those of one series of images are one series."""
        return "annotation"

    @property
    def title(self) -> str:
        """For a series' description."""
        return "Annotation"

    @property
    def local_time(self) -> datetime:
        """When, by the clock of this machine, as DICOM has it."""
        return datetime.fromisoformat(self.saved).astimezone()


def algorithm_of(bundle: Bundle, weights: Sequence[Path]) -> Algorithm:
    """The model of a bundle with these weights."""
    about = bundle.about
    version = str(about.get("version") or "0")[: LONG_STRING // 2]
    return Algorithm(
        name=bundle.name[:LONG_STRING],
        version=version,
        weights_sha256=tuple(map(file_sha256, weights)),
        description=_in_words(str(about.get("name") or "")),
    )


def _in_words(name: str) -> str:
    """A bundle's own name as a viewer's list of series shows it; one that is planned may be no more than "cxr lung"."""
    words = " ".join(name.replace("_", " ").split())
    return f"{words} segmentation" if words and "segment" not in words.lower() else words
