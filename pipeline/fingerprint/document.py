"""The fingerprint of a data set: a small JSON document from which a bundle can be planned without the images."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import InvalidFingerprint

__all__ = ["FORMAT", "Fingerprint", "significant"]

FORMAT = "planar-fingerprint/1"
DIGITS = 6
# The keys of a near-duplicate by which its pictures are named.
NAMES = ("a", "b")
# So wide that the quantiles of one figure stand side by side.
LINE = 200


@dataclass(frozen=True)
class Fingerprint:
    """What is known of a data set.

    Attributes:
        document: As in the JSON file; see `pipeline.fingerprint.gather` for its keys.
    """

    document: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        """A part of the document."""
        return self.document[key]

    @property
    def name(self) -> str:
        """Name of the set."""
        return str(self.document["name"])

    @property
    def sha256(self) -> str:
        """Digest of the document without names of pictures, by which a planned bundle names it."""
        return hashlib.sha256(self.without_names().to_json().encode("utf-8")).hexdigest()

    def without_names(self) -> Fingerprint:
        """The same without the names of pictures that nearly repeat one another: a bundle is given to others."""
        pairs = [{key: pair[key] for key in pair if key not in NAMES} for pair in self.document["near_duplicates"]]
        return Fingerprint({**self.document, "near_duplicates": pairs})

    def to_json(self) -> str:
        """The document as text; equal fingerprints give equal bytes."""
        return _text(self.document) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "The fingerprint") -> Fingerprint:
        """Read a document.

        Args:
            text: What `to_json` gave.
            source: What to call it in messages, such as its file.
        Raises: InvalidFingerprint: if it is none, or of another version.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise InvalidFingerprint(f"{source} is not valid JSON ({error}). Make it again: planar inspect.") from None
        found = document.get("format") if isinstance(document, dict) else None
        if found != FORMAT:
            raise InvalidFingerprint(
                f"{source} has the format {found!r}; expected {FORMAT!r}. Make it: planar inspect datalist.json -o …"
            )
        return cls(document)


def significant(value: Any) -> Any:
    """A document with its floats cut to six significant digits, so that all machines write the same; NaN is null."""
    if isinstance(value, Mapping):
        return {str(key): significant(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [significant(part) for part in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        cut = float(f"{value:.{DIGITS}g}")
        return int(cut) if cut.is_integer() and abs(cut) < 2**53 else cut
    return value


def _text(value: Any, indent: str = "") -> str:
    """JSON whose short parts stand on one line, to be read and compared by people."""
    whole = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if len(indent) + len(whole) <= LINE or not isinstance(value, (Mapping, list)) or not value:
        return whole
    deeper = indent + " "
    if isinstance(value, Mapping):
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {_text(part, deeper)}" for key, part in value.items()]
        return "{\n" + ",\n".join(deeper + part for part in parts) + f"\n{indent}}}"
    return "[\n" + ",\n".join(deeper + _text(part, deeper) for part in value) + f"\n{indent}]"
