"""What the results are called: one name a source, no two alike, folders kept."""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.archives import is_folder
from pipeline.readers import stem_of

__all__ = ["output_names"]


def output_names(sources: Sequence[Path], inputs: Sequence[str]) -> list[str]:
    """A relative name without suffix for each source.

    A file under an input folder keeps its place in it; a file that was named itself keeps its stem. Where two would
    be alike (`a.png` and `a.jpg`, or one name in two input folders) they keep their suffix, then as many of the folders
    above as tell them apart. Where nothing does (`A.png` and `a.PNG`) they get a number.

    Args:
        sources: Files, or the folders of DICOM series.
        inputs: What the user named: files, folders, globs.
    """
    roots = [Path(name) for name in inputs if is_folder(name)]
    candidates = [_candidates(source, roots) for source in sources]
    # Series of one folder have one path: no folder tells them apart, a number does.
    longest = [options[-1] for options in candidates]
    by_path = _told_apart(dict(zip(longest, candidates, strict=True)))
    names = [by_path[path] for path in longest]
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


def _told_apart(candidates: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The shortest of each one's names that tells it from all that a longer one could tell it from."""
    names = {path: options[0] for path, options in candidates.items()}
    for level in range(1, max(map(len, candidates.values()), default=1)):
        alike: dict[str, set[str]] = defaultdict(set)
        for path, name in names.items():
            alike[name.casefold()].add(path.casefold())  # some file systems do not tell A from a
        for path, name in names.items():
            if len(alike[name.casefold()]) > 1:
                names[path] = candidates[path][min(level, len(candidates[path]) - 1)]
    return names


def _candidates(source: Path, roots: Sequence[Path]) -> list[str]:
    """Longer and longer names."""
    whole = Path(os.path.abspath(source))  # noqa: PTH100  (a link is called as the user calls it)
    root = next((root for root in roots if source.is_relative_to(root) and source != root), None)
    kept = source.relative_to(root) if root is not None else Path(whole.name)
    above = whole.parts[1 : len(whole.parts) - len(kept.parts)]
    longer = [Path(*above[-count:], kept) for count in range(1, len(above) + 1)]
    return [path.as_posix() for path in (kept.with_name(stem_of(kept)), kept, *longer)]
