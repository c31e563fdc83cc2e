"""What one bad object does not spoil for all others: which errors are its own, and a line of the log that says so."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.errors import InvalidDicomError

from pipeline.errors import ArchiveUnreachable, PlanarError

__all__ = ["LeftOut"]

logger = logging.getLogger(__name__)

# The last ones are what pydicom and those who read its data sets raise for elements that are missing or empty.
OF_THE_OBJECT = (PlanarError, InvalidDicomError, AttributeError, LookupError, TypeError, ValueError)


class LeftOut:
    """Objects that cannot be used, each told once.

    Args:
        what: They are, for the log: "labels in the archive".
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._told: set[tuple[str, str]] = set()
        self._new: list[str] = []

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Go on without an object that cannot be used.

        Args:
            name: By which it is known again; the log has no names, which may be those of patients.
        Raises: ArchiveUnreachable: for then nothing more can be had.
        """
        try:
            yield
        except ArchiveUnreachable:
            raise
        except OF_THE_OBJECT as error:
            kind = type(error).__name__
            if (name, kind) not in self._told:
                self._told.add((name, kind))
                self._new.append(kind)

    def tell(self) -> None:
        """Write a line of those that are new."""
        if self._new:
            kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(self._new).most_common())
            logger.warning("%s that cannot be used and are left out: %s", self.what, kinds)
            self._new = []
