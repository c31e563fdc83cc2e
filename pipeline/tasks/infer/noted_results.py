"""Results of other inferences among what is to be segmented, known by what each has written down beside them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from pipeline.fragments import split_fragment
from pipeline.tasks.infer.resuming import read_sources

__all__ = ["noted_results"]


def noted_results(files: Iterable[str], ends: Collection[str]) -> dict[Path, set[str]]:
    """Those of some files that an inference says it has written: a folder of results → its files.

    An inference with another bundle may have written beside the images, or to a folder below theirs; its masks would be
    segmented as if they were pictures. A name alone says nothing: `a_mask.png` may be an image.

    Args:
        files: Files of which some may be results.
        ends: What names of results end with behind what their source is called; folders of slices among them.
    """
    found: dict[Path, set[str]] = {}
    written: dict[Path, frozenset[Path]] = {}
    for file in files:
        path = Path(os.path.realpath(split_fragment(file)[0]))
        # Folders of slices are results as a whole.
        whole = {path, *path.parents}
        for folder in path.parents:
            if folder not in written:
                written[folder] = _written_to(folder, ends)
            if not written[folder].isdisjoint(whole):
                found.setdefault(folder, set()).add(file)
                break
    return found


def _written_to(folder: Path, ends: Collection[str]) -> frozenset[Path]:
    """Results that an inference may have written to a folder; none if nothing is noted there, or it cannot be read."""
    with suppress(OSError, ValueError):
        return frozenset(folder / f"{stem}{end}" for stem in read_sources(folder) or () for end in ends)
    return frozenset()
