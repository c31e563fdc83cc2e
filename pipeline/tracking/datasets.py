"""What a run was given: a set of cases by their pixels, never by their names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["DatasetFacts", "case_leaf", "merkle_root"]

DIGEST_LENGTH = 36  # what MLflow's column takes


@dataclass(frozen=True)
class DatasetFacts:
    """One part of a datalist, as MLflow is told of it.

    Attributes:
        name: Of the datalist and the part.
        merkle_root: Digest over the pixels of all images and masks, 64 hexadecimal digits.
        cases: Number of cases.
        profile: What else is told, such as the classes.
    """

    name: str
    merkle_root: str
    cases: int
    profile: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The beginning of the Merkle root, as long as MLflow takes it; all of it is in the profile."""
        return self.merkle_root[:DIGEST_LENGTH]


def case_leaf(image_sha256: str, label_sha256: str = "") -> bytes:
    """SHA-256 over the pixel digests of a case's image and mask; of the image alone if it has no mask."""
    return hashlib.sha256(bytes.fromhex(image_sha256) + bytes.fromhex(label_sha256)).digest()


def merkle_root(leaves: Iterable[bytes]) -> str:
    """The Merkle tree hash of sorted leaves, as hexadecimal digits: one digest for a set, in whatever order.

    References: RFC 6962, section 2.1; the leaves are sorted, for a set has no order.
    """
    level = [hashlib.sha256(b"\0" + leaf).digest() for leaf in sorted(leaves)]
    if not level:
        return hashlib.sha256(b"").hexdigest()
    # Pairs from the left, an odd one going up as it is, is the split at the largest power of two.
    while len(level) > 1:
        pairs = [hashlib.sha256(b"\1" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        level = [*pairs, *level[len(pairs) * 2 :]]
    return level[0].hex()
