"""Which mask belongs to which image: by name, by name and folder without the usual words, or by a pattern."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.datalist import Finding
from pipeline.errors import InvalidOption
from pipeline.tasks.index.matching import Match, best_match, match_files, rivals
from pipeline.tasks.index.names import Rule, case_name, key_by_pattern, mask_names, plain_name
from pipeline.tasks.index.sources import Source
from pipeline.tasks.index.unpaired import require_one_kind_of_mask, why_no_pair

__all__ = ["Pair", "Pairing", "pair_files"]

NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its mask in each mask folder, None where it has none.

    Args:
        name: The image's path below its folder, without suffix.
        image: The image.
        masks: The mask in each folder; where masks are merged, there may be several of one folder.
        folders: Number of the folder that each mask is of; empty if there is one of each, in their order.
    """

    name: str
    image: str
    masks: tuple[str | None, ...]
    folders: tuple[int, ...] = ()

    @property
    def folder_of_masks(self) -> tuple[int, ...]:
        """Number of the folder that each mask is of."""
        return self.folders or tuple(range(len(self.masks)))


@dataclass
class Pairing:
    """Pairs, and the files that got no partner."""

    pairs: list[Pair] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)


def pair_files(
    images: Source,
    masks: Sequence[Source],
    *,
    image_pattern: str | None = None,
    mask_pattern: str | None = None,
    allow_missing: bool = False,
    merge: bool = False,
) -> Pairing:
    """Pair each image with its mask in each mask folder.

    Args:
        images: The images.
        masks: One source for each mask folder.
        image_pattern: Regular expression searched in the path below the folder; its groups must agree with the mask's.
            Files that it does not match are left aside with a warning.
        mask_pattern: The same for masks.
        allow_missing: Keep a case that has a mask in some of several mask folders only.
        merge: Keep a case that has several masks in one folder; else it is refused, for none of them may be all of it.
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
    # Names are asked for once: rules and patterns go through them again and again.
    names = {file: images.name_of(file) for file in images.files}
    mask_files = [{file: source.name_of(file) for file in source.files} for source in masks]
    for file in {file for source in masks if _lies_in(source, images) for file in source.files}:
        names.pop(file, None)
    one_folder = any(_share_files(images, source) for source in masks)

    def match_by(rule: Rule) -> Match:
        return match_files(rule, *_told_apart(names, mask_files, rule, one_folder=one_folder))

    def pairs_with(image_pattern: str, mask_pattern: str) -> int:
        tried = match_by(_rule_of(image_pattern, mask_pattern))
        _refuse_like_named(tried, images, masks, Pairing(), merge=False)
        return tried.paired // len(masks)

    by_pattern = bool(image_pattern or mask_pattern)
    if by_pattern:
        match = match_by(_rule_of(image_pattern, mask_pattern))
    else:
        match = best_match(*_told_apart(names, mask_files, None, one_folder=one_folder))
    if not match.paired:
        taken = match.images.files
        raise InvalidOption(
            why_no_pair(
                images.given,
                [names[file] for file in taken],
                [[files[file] for file in found.files] for files, found in zip(mask_files, match.masks, strict=True)],
                cases={case: len(files) for case, files in match.images.of_case.items()} if by_pattern else None,
                one_folder=one_folder,
                pairs_with=pairs_with,
            )
        )
    _refuse_like_named(match, images, masks, pairing, merge=merge)
    _join(match, images, masks, pairing, allow_missing=allow_missing, merge=merge)
    if one_folder and not by_pattern:
        lone = {one.file for one in pairing.refused if one.code == "mask_without_image"}
        left = {file: name for files in mask_files for file, name in files.items() if file in lone}
        second = rivals(match.rule, {pair.image: names[pair.image] for pair in pairing.pairs}, left)
        require_one_kind_of_mask(images, [(pair.image, pair.masks) for pair in pairing.pairs], sorted(second))
    return pairing


def _share_files(images: Source, masks: Source) -> bool:
    """Whether images and masks are to be told apart: two globs of one folder may have done that already."""
    if Path(images.root).absolute() != Path(masks.root).absolute():
        return False
    return not set(map(os.path.abspath, images.files)).isdisjoint(map(os.path.abspath, masks.files))


def _lies_in(masks: Source, images: Source) -> bool:
    """Whether the masks' folder is one of those below the images' folder, whose files are no images then."""
    return Path(images.root).absolute() in Path(masks.root).absolute().parents


def _rule_of(image_pattern: str | None, mask_pattern: str | None) -> Rule:
    return Rule(key_by_pattern(image_pattern), key_by_pattern(mask_pattern), numbered=False)


def _told_apart(
    images: dict[str, str], masks: list[dict[str, str]], patterns: Rule | None, *, one_folder: bool
) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The files that are images, and those of each folder that are masks, with their names."""
    own = images
    if one_folder:
        by_word = mask_names(images.values())
        # A file that was given as image alone is one, whatever its name; a series counts by the slices in its folder.
        as_mask = {os.path.abspath(file) for files in masks for file in files}  # noqa: PTH100
        as_mask |= {os.path.dirname(file) for file in as_mask}  # noqa: PTH120

        def is_image(name: str) -> bool:
            if patterns is None:
                return name not in by_word
            for_image, for_mask = patterns.image(name) is not None, patterns.mask(name) is not None
            if patterns.image is plain_name:  # a pattern for masks alone says what they are
                return not for_mask
            return name not in by_word if for_image == for_mask else for_image

        own = {
            file: name
            for file, name in images.items()
            if os.path.abspath(file) not in as_mask or is_image(name)  # noqa: PTH100
        }
    elif patterns is not None:
        return own, masks
    taken = {os.path.abspath(file) for file in own}  # noqa: PTH100
    return own, [
        {file: name for file, name in files.items() if os.path.abspath(file) not in taken}  # noqa: PTH100
        for files in masks
    ]


def _refuse_like_named(match: Match, images: Source, masks: Sequence[Source], pairing: Pairing, *, merge: bool) -> None:
    """Refuse files that share a case and leave them out of the match, because either could be meant."""
    for source, found in [(images, match.images), *zip(masks, match.masks, strict=True)]:
        for file in found.no_case:
            pairing.warnings.append(Finding(file, "not_matched", "its name does not match the pattern: left aside"))
        for file, cases in found.unclear.items():
            said = " and ".join(f"'{case}'" for case in cases)
            reason = f"a number behind a word for masks may be the case's or the mask's: {said} mix. Use --pattern"
            pairing.refused.append(Finding(file, "ambiguous_name", reason))
        for case, same in list(found.of_case.items()):
            are_masks = found is not match.images and case in match.images.of_case
            if len(same) == 1 or (are_masks and (merge or case in found.several)):
                continue
            say = "Use --pattern"
            if are_masks and len(masks) == 1:
                say += ", or --merge if they are one mask together"
            for file in same[1:]:
                reason = f"its name means the same case as {os.path.basename(same[0])}. {say}"  # noqa: PTH119
                pairing.refused.append(Finding(file, "ambiguous_name", reason))
            reason = f"{len(same)} files of {source.given} mean the same case '{case}'. {say}"
            pairing.refused.append(Finding(same[0], "ambiguous_name", reason))
            del found.of_case[case]


def _join(
    match: Match, images: Source, masks: Sequence[Source], pairing: Pairing, *, allow_missing: bool, merge: bool
) -> None:
    for case, (image,) in match.images.of_case.items():
        found = [files.of_case.get(case, []) for files in match.masks]
        lacking = [source.given for source, those in zip(masks, found, strict=True) if not those]
        most = max(found, key=len)
        if len(lacking) == len(found) or (lacking and not allow_missing):
            hint = " (--allow-missing-masks takes it as empty there)" if len(lacking) < len(found) else ""
            pairing.refused.append(Finding(image, "missing_mask", f"no mask in {', '.join(lacking)}{hint}"))
        elif len(most) > 1 and not merge:
            names = ", ".join(os.path.basename(file) for file in most[:NAMES_SHOWN])  # noqa: PTH119
            more = ", …" if len(most) > NAMES_SHOWN else ""
            say = "--merge takes them as one class" if len(masks) == 1 else "Join them in one file"
            reason = f"it has {len(most)} masks ({names}{more}). {say}"
            pairing.refused.append(Finding(image, "several_masks", reason))
        else:
            all_masks: list[str | None] = []
            folders: list[int] = []
            for number, those in enumerate(found):
                all_masks += those or [None]
                folders += [number] * (len(those) or 1)
            name = case_name(images.name_of(image))
            pairing.pairs.append(Pair(name, image, tuple(all_masks), tuple(folders) if len(most) > 1 else ()))
    for found_masks in match.masks:
        for case, files in found_masks.of_case.items():
            if case not in match.images.of_case:
                pairing.refused += [Finding(file, "mask_without_image", "no image has this name") for file in files]
