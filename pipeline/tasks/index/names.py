"""What file names say: which case a file is of, and whether it is a mask.

Names are compared as paths below their folder, without suffix, in one Unicode form (macOS writes "ö" as two).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.errors import InvalidOption

__all__ = ["RULES", "SUFFIX", "Cases", "KeyOf", "Rule", "case_name", "key_by_pattern", "mask_names", "plain_name"]

# The longest come first, so that ".nii.gz" is taken off whole. Other dots belong to the name ("scan.webp-day5").
SUFFIX = re.compile(r"\.(nii\.gz|nii|png|jpe?g|bmp|gif|tiff?|dcm|dicom|mha|mhd|nrrd|nhdr)$", re.IGNORECASE)
MASK_WORDS = (
    r"masks?|segmentations?|segm?|labels?|ground[_-]?truths?|gt|annotations?|annot?|anno|(?:1st|2nd)[_-]manual"
    r"|manual\d?"
)
IMAGE_WORDS = r"images?|imaging|imgs?"
# Which part of a set a file is of: "21_training.tif" and "21_manual1.gif" in DRIVE.
PART_WORDS = r"training|train|validation|val|testing|test"
MASK_AFFIX = re.compile(rf"[ _.-](?:{MASK_WORDS})$|(?<![^/])(?:{MASK_WORDS})[ _.-]", re.IGNORECASE)
# "_0000" is nnU-Net's number of the first channel.
IMAGE_AFFIX = re.compile(rf"[ _.-](?:{IMAGE_WORDS}|0000)$|(?<![^/])(?:{IMAGE_WORDS})[ _.-]", re.IGNORECASE)
FIRST_CHANNEL = re.compile(r"[ _.-]0000$")
PART_AFFIX = re.compile(rf"[ _.-](?:{PART_WORDS})$", re.IGNORECASE)
# "benign (1)_mask_1" is a further mask of "benign (1)"; in "case_mask_12" the number may be that of "case_12".
NUMBERED = re.compile(rf"(?<=[^/])[ _.-](?:{MASK_WORDS})([ _.-]?\d+)$", re.IGNORECASE)

KeyOf = Callable[[str], "str | None"]


def case_name(name: str) -> str:
    """A file's name without its suffix."""
    return SUFFIX.sub("", name)


def plain_name(name: str) -> str:
    """A file's name without its suffix, in one Unicode form."""
    return unicodedata.normalize("NFC", case_name(name))


class Cases(NamedTuple):
    """The cases that a mask's name may mean.

    Args:
        whole: By the whole name.
        joined: Where a number stands behind the word for a mask, and may be the case's: "case_12" of "case_mask_12".
        bare: The same without the number, which makes it a further mask: "case" of "case_mask_12".
    """

    whole: str | None
    joined: str | None = None
    bare: str | None = None


@dataclass(frozen=True)
class Rule:
    """How the names of images and masks are shortened until those of one case agree.

    Args:
        image: The case of an image; None if its name says none.
        mask: The case of a mask.
        numbered: Masks may be numbered behind the word for a mask.
        by_folder: All masks of a folder belong to the one image of it.
        folders: The folders of image and mask must agree too.
    """

    image: KeyOf
    mask: KeyOf
    numbered: bool = True
    by_folder: bool = False
    folders: bool = True

    def cases_of(self, mask: str) -> Cases:
        """The cases that a mask may be of."""
        joined, bare = _unnumbered(plain_name(mask)) if self.numbered else (None, None)
        return Cases(self.mask(mask), joined and self.mask(joined), bare and self.mask(bare))


def key_by_pattern(pattern: str | None) -> KeyOf:
    """A function that gives the groups which a pattern finds in a name, joined; the bare name without a pattern."""
    if pattern is None:
        return plain_name
    try:
        expression = re.compile(unicodedata.normalize("NFC", pattern))
    except re.error as error:
        raise InvalidOption(f"The pattern {pattern!r} is no regular expression: {error}.") from None
    if not expression.groups:
        raise InvalidOption(
            f"The pattern {pattern!r} has no group. Put the part that image and mask share in (), e.g. '(\\d+)'."
        )

    def key(name: str) -> str | None:
        found = expression.search(unicodedata.normalize("NFC", name))
        return "-".join(part or "" for part in found.groups()) if found else None

    return key


def mask_names(names: Iterable[str]) -> set[str]:
    """Those of the names of one folder that are masks', by a word in the name or in the nearest folder that has one."""
    listed = list(names)
    found = {name for name in listed if _says_mask(plain_name(name).split("/"))}
    if len(found) == len(listed):
        found = _by_half_the_path(listed) or found
    images = {plain_name(name) for name in listed if name not in found}
    with_mask = {_bare_mask(name) for name in found}
    for name in listed:
        plain = plain_name(name)
        if name not in found and plain not in with_mask and NUMBERED.search(plain):
            found |= {name} if images.intersection(_unnumbered(plain)) else set()
    return found


def _unnumbered(plain: str) -> tuple[str | None, str | None]:
    """A numbered mask's name without the word before the number, and without both; "img1_mask1" is none of "img11"."""
    found = NUMBERED.search(plain)
    if not found:
        return None, None
    bare, number = plain[: found.start()], found[1]
    return None if bare[-1:].isdigit() and number[0].isdigit() else bare + number, bare


def _by_half_the_path(names: Sequence[str]) -> set[str]:
    """The masks by folders or names alone, where all have a word: one that all share says nothing ("seg/ct/1")."""
    folders = {name: _says_mask(plain_name(name).split("/")[:-1]) for name in names}
    by_name = {name for name in names if _says_mask(plain_name(name).split("/")[-1:])}
    if False in folders.values():  # "images/seg_1" is an image
        return {name for name, said in folders.items() if said is not False}
    return by_name if len(by_name) < len(names) else {name for name, said in folders.items() if said}


def _says_mask(parts: list[str]) -> bool | None:
    """Whether the last part of a path with a word says mask, or else image; None if none has a word."""
    for part in reversed(parts):
        if MASK_AFFIX.search(part) or _MASK_WORD.search(part):
            return True
        if IMAGE_AFFIX.search(part) or _IMAGE_WORD.search(part):
            return False
    return None


def _word(words: str) -> re.Pattern[str]:
    """A word that is a whole part of a path, or its beginning or end; "imagesTr" and "labelsTs" are nnU-Net's."""
    return re.compile(rf"^(?:{words})(?=$|[ _.-]|T[rs]$)|[ _.-](?:{words})(?=$|T[rs]$)", re.IGNORECASE)


def _without(words: str) -> Callable[[str], str]:
    """A function that takes words out of all parts of a path, wherever separators divide them off."""
    expression = re.compile(rf"(?:^|[ _.-]+)(?:{words})(?=$|[ _.-]|T[rs]$)", re.IGNORECASE)

    def key(name: str) -> str:
        parts = (expression.sub("", part).strip(" _.-") for part in plain_name(name).split("/"))
        return "/".join(part for part in parts if part)

    return key


def _bare_mask(name: str) -> str:
    return MASK_AFFIX.sub("", plain_name(name))


def _bare_image(name: str) -> str:
    return IMAGE_AFFIX.sub("", plain_name(name))


def _wordless_image(name: str) -> str:
    return _NO_IMAGE_WORD(FIRST_CHANNEL.sub("", plain_name(name)))


def _file(key: Callable[[str], str]) -> Callable[[str], str]:
    """Only the last part of a key."""
    return lambda name: key(name).rpartition("/")[2]


def _partless(key: Callable[[str], str]) -> Callable[[str], str]:
    return lambda name: PART_AFFIX.sub("", key(name))


def _folder(key: Callable[[str], str]) -> Callable[[str], str]:
    """The folder of a file, without words; the whole name of a file that lies in none."""

    def folder(name: str) -> str:
        return key(plain_name(name).rpartition("/")[0] + "/") or plain_name(name)

    return folder


_MASK_WORD, _IMAGE_WORD = _word(MASK_WORDS), _word(IMAGE_WORDS)
_NO_MASK_WORD, _NO_IMAGE_WORD = _without(MASK_WORDS), _without(IMAGE_WORDS)

_BY_PATH: tuple[tuple[Callable[[str], str], Callable[[str], str]], ...] = (
    (plain_name, plain_name),
    (plain_name, _bare_mask),
    (_bare_image, _bare_mask),
    (_wordless_image, _NO_MASK_WORD),
)
# Whole names before shortened ones, paths before bare names. A group is taken if it pairs more than so many times the
# images that those before it pair: the last two are guesses, for sets of which the others make next to nothing.
RULES: tuple[tuple[int, tuple[Rule, ...]], ...] = (
    (1, tuple(Rule(image, mask, numbered=mask is not plain_name) for image, mask in _BY_PATH)),
    (1, tuple(Rule(_file(image), _file(mask), mask is not plain_name, folders=False) for image, mask in _BY_PATH)),
    (
        2,
        (
            Rule(_partless(_wordless_image), _partless(_NO_MASK_WORD)),
            Rule(_partless(_file(_wordless_image)), _partless(_file(_NO_MASK_WORD)), folders=False),
        ),
    ),
    (2, (Rule(_folder(_NO_IMAGE_WORD), _folder(_NO_MASK_WORD), numbered=False, by_folder=True),)),
)
