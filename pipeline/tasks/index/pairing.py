"""Which mask belongs to which image: by name, by name without the usual affixes, or by a pattern."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.datalist import Finding
from pipeline.errors import InvalidOption
from pipeline.tasks.index.sources import Source

__all__ = ["Pair", "Pairing", "case_name", "pair_files"]

# The longest come first, so that ".nii.gz" is taken off whole. Other dots belong to the name ("scan.webp-day5").
SUFFIX = re.compile(r"\.(nii\.gz|nii|png|jpe?g|bmp|tiff?|dcm|dicom|mha|mhd|nrrd|nhdr)$", re.IGNORECASE)
MASK_WORDS = r"masks?|segmentation|segm?|labels?|ground[_-]?truth|gt|annotations?|annot|manual\d?"
MASK_AFFIX = re.compile(rf"[ _.-](?:{MASK_WORDS})$|(?<![^/])(?:{MASK_WORDS})[ _.-]", re.IGNORECASE)
# "_0000" is nnU-Net's number of the first channel.
IMAGE_AFFIX = re.compile(r"[ _.-](?:images?|img|0000)$|(?<![^/])(?:images?|img)[ _.-]", re.IGNORECASE)

KeyOf = Callable[[str], "str | None"]


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its mask in each mask folder, None where it has none.

    Args:
        name: The image's path below its folder, without suffix.
        image: The image.
        masks: The mask in each folder.
    """

    name: str
    image: str
    masks: tuple[str | None, ...]


@dataclass
class Pairing:
    """Pairs, and the files that got no partner."""

    pairs: list[Pair] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)


def case_name(name: str) -> str:
    """A file's name without its suffix."""
    return SUFFIX.sub("", name)


def pair_files(
    images: Source,
    masks: Sequence[Source],
    *,
    image_pattern: str | None = None,
    mask_pattern: str | None = None,
    allow_missing: bool = False,
) -> Pairing:
    """Pair each image with its mask in each mask folder.

    Args:
        images: The images.
        masks: One source for each mask folder.
        image_pattern: Regular expression searched in the path below the folder; its groups must agree with the mask's.
            Files that it does not match are left aside with a warning.
        mask_pattern: The same for masks.
        allow_missing: Keep a case that has a mask in some of several mask folders only.
    Raises: InvalidOption: if a pattern has no group, or no image has a mask.
    """
    pairing = Pairing()
    if len(images.files) == 1 and all(len(source.files) == 1 for source in masks) and not image_pattern:
        image = images.files[0]
        if any(source.files[0] == image for source in masks):
            raise InvalidOption(f"{image} was given as image and as mask. Give two files.")
        masks_of_it = tuple(source.files[0] for source in masks)
        pairing.pairs.append(Pair(case_name(images.name_of(image)), image, masks_of_it))
        return pairing
    inside = {file for source in masks if _lies_in(source, images) for file in source.files}
    own = [file for file in images.files if file not in inside]
    if image_pattern or mask_pattern:
        image_key, mask_key = key_by_pattern(image_pattern), key_by_pattern(mask_pattern)
        image_files = _keyed(images, own, image_key, pairing)
        mask_files = [_keyed(source, source.files, mask_key, pairing) for source in masks]
    else:
        if any(source.root == images.root for source in masks):
            own = [file for file in own if not MASK_AFFIX.search(case_name(images.name_of(file)))]
        taken = set(own)
        others = [[file for file in source.files if file not in taken] for source in masks]
        image_key, mask_key = _best_rule(images, own, list(zip(masks, others, strict=True)))
        image_files = _keyed(images, own, image_key, pairing)
        mask_files = [_keyed(s, files, mask_key, pairing) for s, files in zip(masks, others, strict=True)]
    if not any(key in found for key in image_files for found in mask_files):
        raise InvalidOption(_no_pair_message(images, masks))
    _join(images, image_files, masks, mask_files, pairing, allow_missing)
    return pairing


def _lies_in(masks: Source, images: Source) -> bool:
    """Whether the masks' folder is one of those below the images' folder, whose files are no images then."""
    return Path(images.root).absolute() in Path(masks.root).absolute().parents


def key_by_pattern(pattern: str | None) -> KeyOf:
    """A function that gives the groups which a pattern finds in a name, joined; the bare name without a pattern."""
    if pattern is None:
        return case_name
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InvalidOption(f"The pattern {pattern!r} is no regular expression: {error}.") from None
    if not expression.groups:
        raise InvalidOption(
            f"The pattern {pattern!r} has no group. Put the part that image and mask share in (), e.g. '(\\d+)'."
        )

    def key(name: str) -> str | None:
        found = expression.search(name)
        return "-".join(part or "" for part in found.groups()) if found else None

    return key


def _best_rule(images: Source, own: list[str], masks: list[tuple[Source, list[str]]]) -> tuple[KeyOf, KeyOf]:
    """The rule that pairs most files: whole names before shortened ones, paths before bare names."""

    def flat(key: Callable[[str], str]) -> Callable[[str], str]:
        return lambda name: key(name).rpartition("/")[2]

    def bare_mask(name: str) -> str:
        return MASK_AFFIX.sub("", case_name(name))

    def bare_image(name: str) -> str:
        return IMAGE_AFFIX.sub("", case_name(name))

    rules: list[tuple[Callable[[str], str], Callable[[str], str]]] = [
        (case_name, case_name),
        (case_name, bare_mask),
        (bare_image, bare_mask),
    ]
    rules += [(flat(image_key), flat(mask_key)) for image_key, mask_key in rules]

    image_names = [images.name_of(file) for file in own]
    mask_names = [[source.name_of(file) for file in files] for source, files in masks]

    def paired(rule: tuple[Callable[[str], str], Callable[[str], str]]) -> int:
        keys = set(map(rule[0], image_names))
        return sum(len(keys.intersection(map(rule[1], names))) for names in mask_names)

    return max(rules, key=paired)


def _keyed(source: Source, files: list[str], key_of: KeyOf, pairing: Pairing) -> dict[str, str]:
    """Files by key; files that share a key are refused, because either could be meant."""
    by_key: dict[str, list[str]] = defaultdict(list)
    for file in files:
        key = key_of(source.name_of(file))
        if key is None:
            pairing.warnings.append(Finding(file, "not_matched", "its name does not match the pattern: left aside"))
        else:
            by_key[key].append(file)
    for key, same in by_key.items():
        for file in same[1:]:
            reason = f"its name means the same case as {os.path.basename(same[0])}. Use --pattern"  # noqa: PTH119
            pairing.refused.append(Finding(file, "ambiguous_name", reason))
        if len(same) > 1:
            reason = f"{len(same)} files of {source.given} mean the same case '{key}'. Use --pattern"
            pairing.refused.append(Finding(same[0], "ambiguous_name", reason))
    return {key: same[0] for key, same in by_key.items() if len(same) == 1}


def _join(
    source_of_images: Source,
    images: dict[str, str],
    sources: Sequence[Source],
    masks: list[dict[str, str]],
    pairing: Pairing,
    allow_missing: bool,
) -> None:
    for key, image in images.items():
        found = tuple(files.get(key) for files in masks)
        lacking = [source.given for source, mask in zip(sources, found, strict=True) if mask is None]
        if len(lacking) == len(found) or (lacking and not allow_missing):
            hint = " (--allow-missing-masks takes it as empty there)" if len(lacking) < len(found) else ""
            pairing.refused.append(Finding(image, "missing_mask", f"no mask in {', '.join(lacking)}{hint}"))
        else:
            pairing.pairs.append(Pair(case_name(source_of_images.name_of(image)), image, found))
    for files in masks:
        for key, mask in files.items():
            if key not in images:
                pairing.refused.append(Finding(mask, "mask_without_image", "no image has this name"))


def _no_pair_message(images: Source, masks: Sequence[Source]) -> str:
    def example(source: Source) -> str:
        return source.name_of(source.files[0]) if source.files else "nothing"

    return (
        f"No image has a mask: {len(images.files)} images such as {example(images)}, and masks such as "
        f"{', '.join(example(source) for source in masks)}. Say what the names share, e.g. --pattern '(\\d+)'."
    )
