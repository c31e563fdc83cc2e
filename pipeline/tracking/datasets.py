"""What a run was given: a set of cases by their pixels, never by their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["DatasetFacts"]

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
