"""Which classes are a left or a right one, in any spelling: mirrored, such a class would carry the other's label."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__all__ = ["has_sides", "label_words", "plain_name"]

# As whole words: "bright" and "cleft" are none.
WORDS = {"left", "right", "sinister", "sinistra", "dexter", "dextra", "links", "rechts", "gauche", "droit", "droite"}
# Where the name with the other one is a class too: lung_l and lung_r, leftlung and rightlung.
PAIRS = (("left", "right"), ("l", "r"))


def has_sides(names: Iterable[str]) -> bool:
    """Whether a class is a left or a right one.

    Args:
        names: Class names: left_lung, RightKidney, lung_l and lung_r, LLung and RLung.
    """
    parted = [label_words(name) for name in names]
    if any(WORDS & set(words) for words in parted):
        return True
    joined = {"".join(words) for words in parted}
    return any(_others(words) & joined for words in parted)


def label_words(name: str) -> list[str]:
    """Lower-case words of a name that is written with _, - or spaces between them, or inCapitals."""
    ends = r"[\W_]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=\D)(?=\d)|(?<=\d)(?=\D)"
    return [word.lower() for word in re.split(ends, unicodedata.normalize("NFC", name)) if word]


def plain_name(name: str) -> str:
    """A name without its spelling, the side first: left lung, LungLeft and lung_l are all leftlung."""
    sides = dict(zip(PAIRS[1], PAIRS[0], strict=True))
    words = [sides.get(word, word) for word in label_words(name)]
    joined = "".join(sorted(words, key=lambda word: word not in PAIRS[0]))
    for side in PAIRS[0]:
        if joined.endswith(side):
            joined = side + joined.removesuffix(side)
    # A name of signs alone has no words.
    return joined.casefold() or name.casefold()


def _others(words: list[str]) -> set[str]:
    """The name with right for left, as a word, and at its beginning and its end."""
    joined = "".join(words)
    found = {"".join([*words[:k], "r", *words[k + 1 :]]) for k, word in enumerate(words) if word == "l"}
    for left, right in PAIRS:
        if joined.startswith(left):
            found.add(right + joined.removeprefix(left))
        if joined.endswith(left):
            found.add(joined.removesuffix(left) + right)
    return found
