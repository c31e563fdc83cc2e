"""Why an archive did not store an object, by its own answer: DICOM's failure reasons in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

__all__ = ["failure_words", "failures_in"]

FAILED_SOP_SEQUENCE, FAILURE_REASON = "00081198", "00081197"
# FailureReason (PS3.18, I.2.2; PS3.4, CC.2.3; PS3.7, annex C).
WORDS = {
    0x0105: "there is no such attribute",
    0x0106: "a value in it is not valid",
    0x0107: "some of its attributes are unknown there",
    0x0110: "the archive could not process it",
    0x0111: "the archive has an object of this identifier",
    0x0112: "there is no such object",
    0x0116: "a value in it is out of range",
    0x0117: "its identifier is not valid",
    0x0118: "there is no such kind of objects",
    0x0119: "its identifier belongs to an object of another kind",
    0x0120: "an attribute is missing in it",
    0x0121: "a value is missing in it",
    0x0122: "the archive does not take objects of this kind",
    0x0124: "the archive does not allow it",
    0x0131: "it belongs to something that is not there",
    0x0213: "the archive has no room or time for it",
    0xA773: "the archive does not take compressed pixels of this kind",
    0xC122: "the archive does not take this transfer syntax",
    0xC409: "the archive has another object of this identifier",
}
# Whole ranges, by the first digits of their codes.
RANGES = {0xA7: "the archive is full", 0xA9: "the object does not fit its kind", 0xC: "it cannot be understood"}


def failures_in(kind: str, body: bytes) -> list[int]:
    """The failure reasons of an answer to STOW-RS, each once; none if it has none that can be read.

    Args:
        kind: Its Content-Type.
        body: DICOM JSON or the Native DICOM Model in XML.
    """
    try:
        codes = _of_xml(body) if "xml" in kind else _of_json(json.loads(body))
        return sorted(set(codes))
    except (ValueError, TypeError, ElementTree.ParseError):
        return []


def failure_words(codes: Iterable[int]) -> str:
    """Failure reasons in words, with their codes for those who look them up."""
    return ", ".join(f"{_words(code)} (failure reason {code:04X})" for code in codes)


def _words(code: int) -> str:
    ranges = (RANGES[start] for start in (code >> 8, code >> 12) if start in RANGES)
    return WORDS.get(code) or next(ranges, "the archive does not say why in a way that is known here")


def _of_json(content: Any) -> Iterator[int]:
    for answer in content if isinstance(content, list) else [content]:
        for item in _values(answer, FAILED_SOP_SEQUENCE):
            yield from (int(code) for code in _values(item, FAILURE_REASON)[:1])


def _values(item: Any, tag: str) -> list[Any]:
    element = item.get(tag) if isinstance(item, Mapping) else None
    values = element.get("Value") if isinstance(element, Mapping) else None
    return values if isinstance(values, list) else []


def _of_xml(body: bytes) -> Iterator[int]:
    for element in ElementTree.fromstring(body).iter():
        if element.get("tag") == FAILURE_REASON:
            yield from (int(value.text or 0) for value in element if value.tag.rpartition("}")[2] == "Value")
