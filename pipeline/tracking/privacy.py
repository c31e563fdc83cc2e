"""What stands for the names of files in a record: hospitals put patients' names and numbers into them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from pipeline.fragments import INSTANCE, split_fragment
from pipeline.readers import stem_of

__all__ = ["Pseudonyms", "is_keyed", "scrubbed_text"]

# Bare stems and folders that are no names; replacing them would spoil every text.
WORDS = """
anon anonymous axial background case cases chest client coronal data dataset datasets dice dicom dicomdir epoch film
films image images imagestr imagests img input inputs instance label labels labelstr loss lung lungs main mask masks
model models network normal output outputs picture pictures planar pred prediction scan scans seed segmentation
series slice slices study subject test testing train training valid validation volume
"""
COMMON = frozenset(WORDS.split())
# A bare word of fewer letters is not looked for in texts; with its suffix, or in a path, it is.
SHORTEST = 4
# A folder that holds more than this share of the cases is a collection's, and not a patient's.
FOLDER_SHARE = 0.25
INSTANCES = re.compile(rf"{INSTANCE}[0-9.]+(?::\d+)?")
TEXTS = (".csv", ".html", ".json", ".log", ".md", ".patch", ".txt", ".yaml", ".yml")


class Pseudonyms:
    """Names of files, stems and folders, each with what stands for it.

    A case is called by the beginning of its image's pixel digest, which its owner can find again and nobody else can
    read: "case-" and twelve hexadecimal digits. Slices with equal pixels, such as empty ones, get a number besides.
    """

    def __init__(self, classes: Iterable[str] = ()) -> None:
        self._plain = COMMON | {name.lower() for name in classes}
        self._digests: dict[str, str] = {}
        self._cases: dict[str, str] = {}  # a path, in all the ways it is written, to its case
        self._subjects: dict[str, str] = {}
        self._given: Counter[str] = Counter()
        self._words: dict[str, str] = {}  # to be found anywhere
        self._in_paths: dict[str, str] = {}  # to be found beside a slash alone
        self._places: dict[str, str] = {}

    @classmethod
    def of(
        cls,
        items: Iterable[Mapping[str, Any]],
        folder: str | os.PathLike[str] | None = None,
        classes: Iterable[str] = (),
    ) -> Pseudonyms:
        """Those of the cases of a datalist.

        Args:
            items: With `image`, `label` and `image_sha256`, or with the `case` that they are called.
            folder: That relative paths are relative to; the working folder by default.
            classes: Names of classes, which stay what they are: a file may be called by one.
        """
        made = cls(classes)
        base = os.path.realpath(folder or ".")
        files: dict[str, dict[str, str]] = {}  # by what a file is called: where it lies, and its case
        subjects: dict[str, set[str]] = {}
        for item in items:
            case = made._add_case(item, base)
            for path in (path for key in ("image", "label") for path in _listed(item.get(key))):
                whole = os.path.normpath(os.path.join(base, split_fragment(path)[0]))  # noqa: PTH118
                files.setdefault(Path(whole).name, {}).setdefault(whole, case)
            if item.get("subject") and not is_keyed(str(item["subject"])):
                subjects.setdefault(str(item["subject"]), set()).add(case)
        made._add_files(files)
        made._add_folders([Path(whole).parent for places in files.values() for whole in places], base)
        for name, cases in subjects.items():
            digest = hashlib.sha256("\n".join(sorted(cases)).encode()).hexdigest()
            made._subjects[name] = f"subject-{digest[:12]}"
            made.add_word(name, made._subjects[name])
        return made

    def add_place(self, path: str | os.PathLike[str] | None, name: str) -> None:
        """A folder that texts call by another name, such as "<data>"; the first name of one counts."""
        if path is None or not os.fspath(path):
            return
        for written in dict.fromkeys((os.fspath(path), os.path.abspath(path), os.path.realpath(path))):  # noqa: PTH100
            if Path(written).is_absolute() and len(Path(written).parts) > 1:
                self._places.setdefault(written.rstrip("/\\"), name)

    def add_word(self, word: str, name: str, *, shortest: int = SHORTEST) -> None:
        """A word that texts call by another name, unless it is too short or common to be looked for."""
        if len(word) >= shortest and word.lower() not in self._plain:
            for written in _spellings(word):
                self._words.setdefault(written, name)

    def digest(self, image: str) -> str:
        """The pixel digest of a case by its image's path; empty for one that is not known here."""
        return self._digests.get(self.case(image), "")

    def case(self, image: str, digest: str = "") -> str:
        """What a case is called by its image's path; by the pixel digest for an image that is not known here."""
        known = self._cases.get(image) or self._cases.get(os.path.normpath(image))
        return known or (f"case-{digest[:12]}" if digest else "case-unknown")

    def subject(self, name: str) -> str:
        """A subject: a keyed hash stays; for any other name there is a digest of the subject's pictures."""
        if is_keyed(name):
            return name
        return self._subjects.get(name) or self._cases.get(name) or "subject-unknown"

    def scrub(self, text: str) -> str:
        """A text in which everything known here is replaced by what stands for it."""
        text = INSTANCES.sub(INSTANCE, text)  # an identifier of the archive
        for path in sorted(self._places, key=len, reverse=True):
            if path in text:
                text = re.sub(rf"{re.escape(path)}(?![\w.-])", self._places[path], text)
        # Most names are in no text: looking for each is faster than an expression of thousands of alternatives.
        found = {word: name for word, name in self._words.items() if word in text}
        if found:
            # A number is no name where it stands behind the point.
            whole = {word: rf"(?<!\d\.){re.escape(word)}" if word[0].isdecimal() else re.escape(word) for word in found}
            either = "|".join(whole[word] for word in sorted(found, key=len, reverse=True))
            text = re.sub(rf"(?<![^\W_])(?:{either})(?![^\W_])", lambda match: found[match[0]], text)
        for word, name in self._in_paths.items():
            if word in text:
                there = re.escape(word)
                text = re.sub(rf"(?<=[/\\]){there}(?=$|[/\\\s\"'])|(?<![^\s\"']){there}(?=[/\\])", name, text)
        return text

    def scrubbed(self, value: Any) -> Any:
        """What JSON holds, with its texts scrubbed and its numbers as they are."""
        return _scrubbed(value, self.scrub)

    def _add_case(self, item: Mapping[str, Any], base: str) -> str:
        image = _listed(item["image"])[0]
        whole = os.path.normpath(os.path.join(base, image))  # noqa: PTH118
        spellings = [image, os.path.normpath(image), whole, os.path.realpath(whole)]
        case = next((self._cases[written] for written in spellings if written in self._cases), None)
        if case is None:
            case = f"case-{str(item.get('image_sha256') or 'unread')[:12]}"
            self._given[case] += 1
            if self._given[case] > 1:
                case = f"{case}-{self._given[case]}"
            case = str(item.get("case") or case)
            self._digests[case] = str(item.get("image_sha256") or "")
        # A volume is called by its first slice.
        for written in (*spellings, *(split_fragment(written)[0] for written in spellings)):
            self._cases.setdefault(written, case)
        return case

    def _add_files(self, files: Mapping[str, Mapping[str, str]]) -> None:
        for name, places in files.items():
            # One name in many folders says nothing of whose it is: image.nii.gz. An image and its mask may share one.
            if len(places) > 2 and len(set(places.values())) > 1:
                continue
            case = next(iter(places.values()))
            stem, end = stem_of(name), name[len(stem_of(name)) :]
            self.add_word(name, f"{case}{end}", shortest=len(end) + 1 if end else SHORTEST)
            self.add_word(stem, case)

    def _add_folders(self, folders: list[Path], base: str) -> None:
        """The folders below the one that all files have in common, and that one as the datalist writes it."""
        if not folders:
            return
        common = Path(os.path.commonpath(folders))
        shares = Counter(part for folder in folders for part in folder.relative_to(common).parts)
        for number, (name, count) in enumerate(sorted(shares.items()), 1):
            if name.lower() not in self._plain:
                self._in_paths |= dict.fromkeys(_spellings(name), f"folder-{number}")
                if count <= FOLDER_SHARE * len(folders):
                    self.add_word(name, f"folder-{number}")
        self.add_place(common, "<images>")
        for number, name in enumerate(Path(os.path.relpath(common, base)).parts, len(shares) + 1):
            if name not in ("..", os.sep) and name.lower() not in self._plain:
                self._in_paths |= dict.fromkeys(_spellings(name), f"folder-{number}")


def is_keyed(subject: str) -> bool:
    """Whether a subject is the keyed hash that `planar index` writes, and not a name."""
    return re.fullmatch(r"[0-9a-f]{16}", subject) is not None


def scrubbed_text(path: Path, scrub: Callable[[str], str]) -> str | None:
    """The content of a text file without names, or None for any other file.

    Of JSON and CSV words are scrubbed and numbers are not; what needs no scrubbing stays byte for byte.
    """
    if path.suffix.lower() not in TEXTS:
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix.lower() == ".json":
        try:
            content = json.loads(text)
        except ValueError:
            return scrub(text)
        clean = _scrubbed(content, scrub)
        return text if clean == content else json.dumps(clean, indent=2, ensure_ascii=False) + "\n"
    if path.suffix.lower() == ".csv":
        rows = list(csv.reader(io.StringIO(text)))
        clean_rows = [[cell if _is_number(cell) else scrub(cell) for cell in row] for row in rows]
        if clean_rows == rows:
            return text
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(clean_rows)
        return out.getvalue()
    return scrub(text)


def _scrubbed(value: Any, scrub: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, list):
        return [_scrubbed(one, scrub) for one in value]
    if isinstance(value, dict):
        return {scrub(key): _scrubbed(one, scrub) for key, one in value.items()}
    return value


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _listed(entry: Any) -> list[str]:
    return [] if entry is None else [str(one) for one in entry] if isinstance(entry, list) else [str(entry)]


def _spellings(name: str) -> list[str]:
    """A name as texts may have it: composed or not, and in HTML."""
    forms = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    return list(dict.fromkeys([name, *forms, *map(escape, forms)]))
