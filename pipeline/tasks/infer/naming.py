"""What the results are called: one name a source, no two alike, folders kept."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipeline.archives import is_folder
from pipeline.readers import stem_of

__all__ = ["output_names"]


def output_names(sources: Sequence[Path], inputs: Sequence[str]) -> list[str]:
    """A relative name without suffix for each source.

    A file under an input folder keeps its place in it; a file that was named itself keeps its stem. Where two would
    be alike (`a.png` and `a.jpg`, or one name in two input folders) they keep their suffix, then their folder, then get
    a number.

    Args:
        sources: Files, or the folders of DICOM series.
        inputs: What the user named: files, folders, globs.
    """
    roots = [Path(name) for name in inputs if is_folder(name)]
    candidates = [_candidates(source, roots) for source in sources]
    names = [options[0] for options in candidates]
    for level in (1, 2):
        count = Counter(name.casefold() for name in names)  # some file systems do not tell A from a
        names = [
            options[level] if count[name.casefold()] > 1 else name
            for name, options in zip(names, candidates, strict=True)
        ]
    used: set[str] = set()
    unique = []
    for name in names:
        free = name
        for number in itertools.count(2):
            if free.casefold() not in used:
                break
            free = f"{name}_{number}"
        used.add(free.casefold())
        unique.append(free)
    return unique


def _candidates(source: Path, roots: Sequence[Path]) -> tuple[str, str, str]:
    root = next((root for root in roots if source.is_relative_to(root) and source != root), None)
    kept = source.relative_to(root) if root is not None else Path(source.resolve().name)
    stem = kept.with_name(stem_of(kept))
    return stem.as_posix(), kept.as_posix(), f"{source.resolve().parent.name}/{kept.as_posix()}"
