"""Which cases a page shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["extremes", "spread", "thinned", "thinned_to_both_ends"]

T = TypeVar("T")


def extremes(ranked: Sequence[T], each: int = 3) -> dict[str, list[T]]:
    """The worst, the median and the best, none of them twice.

    Args:
        ranked: From the worst to the best.
        each: How many of each kind; fewer where there are not enough. The middle comes first to what one or two are.
    """
    each = min(each, max(1, len(ranked) // 3))
    if len(ranked) < 3:
        return {"worst": [*ranked[:1]], "median": [], "best": [*ranked[1:]]}
    first = (len(ranked) - each) // 2
    return {"worst": [*ranked[:each]], "median": [*ranked[first : first + each]], "best": [*ranked[-each:]]}


def spread(ranked: Sequence[T], count: int) -> list[T]:
    """As many at even steps of rank, the first and the last among them."""
    if len(ranked) <= count:
        return [*ranked]
    return [ranked[round(k * (len(ranked) - 1) / (count - 1))] for k in range(count)]


def thinned(ranked: Sequence[T], count: int) -> list[T]:
    """At most as many: the first third of them are the first in rank, without a gap; the others at even steps.

    For plots of very many cases, of which the worst are looked at one by one.
    """
    if len(ranked) <= count:
        return [*ranked]
    head = count // 3
    return [*ranked[:head], *spread(ranked[head:], count - head)]


def thinned_to_both_ends(ranked: Sequence[T], count: int) -> list[T]:
    """At most as many: the first and the last third of them without a gap, and those between at even steps."""
    if len(ranked) <= count:
        return [*ranked]
    end = count // 3
    return [*ranked[:end], *spread(ranked[end:-end], count - 2 * end), *ranked[-end:]]
