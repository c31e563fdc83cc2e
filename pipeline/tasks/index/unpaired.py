"""Why no image has a mask, and the patterns by which they would pair."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import permutations
from pathlib import PurePosixPath
from shlex import quote

from pipeline.errors import InvalidOption
from pipeline.tasks.index.names import case_name, plain_name
from pipeline.tasks.index.sources import Source

__all__ = ["require_one_kind_of_mask", "why_no_pair"]

# What names of image and mask often share; the most telling come first.
SHARED = (
    r"(\d+)[^/]*$",
    r"(\d+)\D*$",
    r"^([^/]+)/",
    r"([^/]+)/[^/]*$",
    r"(\d+)\D*/",
    r"([^/]*\d)[^/]*$",
    r"(\d+)\D+(\d+)[^/]*$",
)
# Endings that are tried against one another.
MOST_ENDINGS = 6

# Called with a pattern for images and one for masks: how many images they would pair.
PairsWith = Callable[[str, str], int]


def why_no_pair(
    given: str,
    images: Sequence[str],
    masks: Sequence[Sequence[str]],
    *,
    cases: Mapping[str, int] | None,
    one_folder: bool,
    pairs_with: PairsWith,
) -> str:
    """The line for a set in which no image has a mask: what was found, the reason, and a pattern that was tried.

    Args:
        given: What the user gave as images.
        images: Names of the files that were taken for images.
        masks: Names of those that were taken for masks, in each folder.
        cases: How many images each case has by the user's patterns; None if there were none.
        one_folder: Whether images and masks lie in one folder.
        pairs_with: Tries patterns.
    """
    if not images and not one_folder:
        return f"No image has a mask: all files of {given} are among the masks. Give the folder of images first."
    if not images:
        # Patterns are looked for as if no word had told the files apart.
        images, masks = [name for names in masks for name in names], []
        found = (
            f"all {len(images)} files of {given}, such as {images[0]}, have a word for masks in their names or folders "
            "(mask, seg, label, annotation …)"
            + (" or match the pattern for masks" if cases is not None else "")
            + ". Give the images and the masks as two folders or globs."
        )
        cases = {}
    elif any(masks):
        examples = ", ".join(names[0] for names in masks if names)
        found = f"{len(images)} images such as {images[0]}, and masks such as {examples}."
    elif one_folder:
        found = (
            f"none of the {len(images)} files of {given}, such as {images[0]}, has a word for masks in its name "
            "or folder (mask, seg, label, annotation …)."
        )
    else:
        found = f"{len(images)} images such as {images[0]}, and no masks."
    counts = cases if cases is not None else Counter(plain_name(name).rpartition("/")[2] for name in images)
    case, most = max(counts.items(), key=lambda entry: entry[1], default=("", 0))
    shared = f" {most} images share the name '{case}'." if most > 1 else ""
    return f"No image has a mask: {found}{shared} {_best_patterns(images, masks, pairs_with)}"


def require_one_kind_of_mask(
    images: Source, pairs: Sequence[tuple[str, Sequence[str | None]]], second: Sequence[str]
) -> None:
    """Raise InvalidOption if a folder of second masks is left over where images and masks were given as one folder.

    DRIVE has the vessels in `1st_manual` and the field of view in `mask`: names cannot tell which of them are meant.

    Args:
        images: What the user gave.
        pairs: Images with their masks.
        second: Masks that were left over, and would be those of images that have one.
    """

    def folder_of(file: str) -> str:
        return images.name_of(file).rpartition("/")[0]

    used = {folder_of(mask) for _, masks in pairs for mask in masks if mask is not None}
    left: dict[str, list[str]] = defaultdict(list)
    for file in second:
        left[folder_of(file)].append(file)
    for folder, files in left.items():
        if folder not in used and len(files) > 1 and 2 * len(files) >= len(pairs) and pairs:
            image, masks = pairs[0]
            mask = next(mask for mask in masks if mask is not None)
            folders = " ".join(quote(os.path.dirname(file)) for file in (image, files[0]))  # noqa: PTH120
            raise InvalidOption(
                f"{images.given} holds masks of two kinds: {images.name_of(mask)}, which has the name of "
                f"{images.name_of(image)}, and {images.name_of(files[0])}. Give the folder of images and the folder of "
                f"those that you mean, e.g. planar index {folders}."
            )


def _best_patterns(images: Sequence[str], masks: Sequence[Sequence[str]], pairs_with: PairsWith) -> str:
    """What to say of patterns: those that pair most images, if they pair half of them."""
    most = len(images) if any(masks) else len(images) // 2
    best, patterns = 0, ("", "")
    for both in _shared_parts() if any(masks) else _by_endings(images):
        paired = pairs_with(*both)
        if paired > best:
            best, patterns = paired, both
        if best >= most:
            break
    if not best or 2 * best < most:
        return "Say what the names share with --pattern, or --image-pattern and --mask-pattern: the shared part in ()."
    for_image, for_mask = map(quote, patterns)
    said = (
        f"--image-pattern {for_image} --mask-pattern {for_mask}" if for_image != for_mask else f"--pattern {for_image}"
    )
    return f"Say what the names share, e.g. {said}, which pairs {best} images."


def _shared_parts() -> Iterator[tuple[str, str]]:
    """Patterns for images and masks, those first that are one for both."""
    yield from ((pattern, pattern) for pattern in SHARED)
    yield from permutations(SHARED, 2)


def _by_endings(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Patterns for images and masks that lie in one folder and differ in how their paths end."""
    endings: Counter[str] = Counter()
    for name in names:
        folder, slash, file = plain_name(name).rpartition("/")
        if folder and slash:
            endings[f"/{file}."] += 1
        if found := re.search(r"[ _.-][^ _.-]+$", file):
            endings[f"{found[0]}."] += 1
        endings[PurePosixPath(name).suffix if case_name(name) != name else ""] += 1
    common = [ending for ending, count in endings.most_common(MOST_ENDINGS) if count > 1 and ending]
    for image, mask in permutations(sorted(common), 2):
        yield f"^(.*){_literal(image)}", f"^(.*){_literal(mask)}"


def _literal(ending: str) -> str:
    """An ending as part of a pattern: a whole suffix ends the name."""
    return re.escape(ending) + ("$" if ending.startswith(".") and not ending.endswith(".") else "")
