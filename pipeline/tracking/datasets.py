"""What a run was given: sets of cases by their pixels, never by their names."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.datalist import FORMAT, pixel_digest, read_datalist
from pipeline.errors import PlanarError
from pipeline.readers import read_picture
from pipeline.split import PARTS
from pipeline.tracking.privacy import Pseudonyms

__all__ = ["DatasetFacts", "GivenData", "case_leaf", "merkle_root", "with_digests"]

DIGEST_LENGTH = 36  # what MLflow's column takes
# Of a case, what names nobody.
KEPT = ("label_coding", "fold", "shape", "spacing_mm")
# How the subjects became known, without the table's name and the pattern, which may name somebody.
SUBJECTS_FROM = (
    "one subject a file",
    "DICOM PatientID where present, else one subject a file",
    "DICOM PatientID",
    "column",
    "pattern",
    "the joined datalists",
)

Item = Mapping[str, Any]


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


@dataclass(frozen=True)
class GivenData:
    """The cases that a run was given, by part.

    Attributes:
        name: Of the datalist.
        labels: Class names by index.
        parts: Items with `image_sha256` and `label_sha256`, by "training", "validation" or "test".
        used: The parts that the run works on, or holds back for later.
        document: The datalist with pseudonyms for names, as JSON.
        pseudonyms: What stands for names in all that is told of the run.
    """

    name: str
    labels: tuple[str, ...]
    parts: Mapping[str, Sequence[Item]]
    used: tuple[str, ...]
    document: Mapping[str, Any]
    pseudonyms: Pseudonyms

    @classmethod
    def of(
        cls,
        datalist: str | os.PathLike[str] | None,
        cases: Mapping[str, Sequence[Item]] | None = None,
    ) -> GivenData:
        """What a datalist and the config's own cases are.

        Args:
            datalist: The datalist.json; None, or one that is not there, if there is none.
            cases: What the config's datasets hold, by part, with absolute paths; None for what the datalist says. A
                server such as MONAI Label gives others than the datalist has. A training holds back the test part.
        """
        try:
            content = read_datalist(datalist) if datalist is not None else None
        except PlanarError:
            content = None
        folder = os.path.dirname(os.path.abspath(datalist)) if datalist is not None else None  # noqa: PTH100, PTH120
        listed = {part: content.part(part) if content is not None else [] for part in PARTS}
        own = {part: _each_once(cases[part]) for part in PARTS if cases is not None and part in cases}
        given = {part: own.get(part, listed[part]) for part in PARTS}
        used = tuple(part for part in PARTS if given[part] and (not own or part in own or "training" in own))
        parts = {part: [with_digests(item, folder, part in used) for item in given[part]] for part in PARTS}
        # As they were loaded, and as they are written, so that tables that name them so are understood.
        items = [item for where in (parts, listed) for part in PARTS for item in where[part]]
        labels = tuple(content.labels) if content is not None else ()
        names = Pseudonyms.of(items, folder, labels)
        if datalist is not None:
            names.add_place(datalist, "<data>/datalist.json")
            names.add_place(folder, "<data>")
        name = names.scrub(content.name if content is not None else "cases")
        facts = {
            "name": name,
            "format": FORMAT,
            "modality": {"0": content.modality if content is not None else "unknown"},
            "labels": {str(k): label for k, label in enumerate(labels)},
            "split": _split(content.split) if content else {},
            **{part: _items(parts[part], part, names) for part in PARTS},
            "refused": dict(Counter(finding.code for finding in content.refused)) if content else {},
            "warnings": dict(Counter(finding.code for finding in content.warnings)) if content else {},
        }
        return cls(name, labels, parts, used, facts, names)

    def facts(self, part: str) -> DatasetFacts:
        """One part as MLflow is told of it."""
        items = self.parts[part]
        leaves = [case_leaf(item["image_sha256"], item["label_sha256"]) for item in items]
        subjects = {entry["subject"] for entry in self.document[part] if entry.get("subject")}
        profile = {"part": part, "classes": list(self.labels), **({"subjects": len(subjects)} if subjects else {})}
        return DatasetFacts(f"{self.name} {part}", merkle_root(leaves), len(items), profile)

    @property
    def roots(self) -> dict[str, dict[str, Any]]:
        """For each part that is used, its Merkle root and the number of its cases."""
        found = {part: self.facts(part) for part in self.used}
        return {part: {"root": facts.merkle_root, "cases": facts.cases} for part, facts in found.items()}

    @property
    def text(self) -> str:
        """The document, one case a line."""
        lines = []
        for key, value in self.document.items():
            if isinstance(value, list):
                shown = "[\n" + ",\n".join(f"  {json.dumps(one, ensure_ascii=False)}" for one in value) + "\n]"
                lines.append(f"{json.dumps(key)}: {shown if value else '[]'}")
            else:
                lines.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
        return "{\n" + ",\n".join(lines) + "\n}\n"


def _each_once(items: Sequence[Item]) -> list[Item]:
    """The cases of an epoch, which may take each of them several times."""
    return list({(str(item["image"]), str(item.get("label"))): item for item in items}.values())


def _items(items: Sequence[Item], part: str, names: Pseudonyms) -> list[dict[str, Any]]:
    """The cases of a part without what may name somebody."""
    found = []
    for item in items:
        image = item["image"][0] if isinstance(item["image"], list) else item["image"]
        subject = names.subject(str(item["subject"])) if item.get("subject") else None
        found.append(
            {
                "case": names.case(str(image), item["image_sha256"]),
                "image_sha256": item["image_sha256"],
                "label_sha256": item["label_sha256"],
                "part": part,
                **({"subject": subject} if subject else {}),
                **{key: item[key] for key in KEPT if key in item},
            }
        )
    return found


def _split(said: Mapping[str, Any]) -> dict[str, Any]:
    """How the data were divided, and how the subjects became known; both without the names of tables."""
    known = next((one for one in SUBJECTS_FROM if str(said.get("subjects_from", "")).startswith(one)), None)
    told = {key: value for key, value in said.items() if key != "subjects_from"}
    if str(told.get("method", "")).startswith("column"):
        told["method"] = "column"
    return told | ({"subjects_from": known} if known else {})


def with_digests(item: Item, folder: str | None, used: bool) -> dict[str, Any]:
    """An item with the digests of its pixels, which a datalist of another tool does not have; "" if it is not used."""
    found = {}
    for key in ("image", "label"):
        said = str(item.get(f"{key}_sha256", ""))
        known = re.fullmatch(r"[0-9a-f]{64}", said) is not None
        found[f"{key}_sha256"] = said if known else _pixels(item.get(key), folder, key == "label") if used else ""
    return {**item, **found}


def _pixels(files: Any, folder: str | None, labels: bool) -> str:
    listed = [] if files is None else files if isinstance(files, list) else [files]
    try:
        where = [os.path.join(folder or "", file) for file in listed]  # noqa: PTH118
        return pixel_digest(*(read_picture(file, labels=labels).array for file in where)) if listed else ""
    except (PlanarError, OSError):  # the run itself will say so
        return ""
