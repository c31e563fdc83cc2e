"""Whose picture it is: by a CSV column, a pattern, DICOM, or one subject a file; and the hash that stands for it.

Raw names are used for splitting and never written: a datalist holds HMAC-SHA256 of the name under a key of the user's.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import InvalidOption
from pipeline.fragments import split_fragment
from pipeline.tasks.index.checking import Case
from pipeline.tasks.index.columns import read_column
from pipeline.tasks.index.options import SubjectOptions
from pipeline.tasks.index.pairing import Pair

__all__ = ["ONE_A_FILE", "named_in_full", "subject_key", "subject_pseudonym", "subject_rule", "subjects_from"]

ONE_A_FILE = "one subject a file"
KEY_VARIABLE = "PLANAR_SUBJECT_KEY"
SHORTEST_KEY = 16


def named_in_full(options: SubjectOptions, pairs: Sequence[Pair]) -> SubjectOptions:
    """The same options with the column of the files that a table is looked up by, so that it can be told.

    Raises: MissingFile, InvalidOption: as `read_column`.
    """
    return replace(options, column=read_column(options.column, pairs).written) if options.column else options


def subject_rule(options: SubjectOptions, pairs: Sequence[Pair]) -> Callable[[Pair, Case], tuple[str | None, str]]:
    """A function that gives the subject of a case, or None and why.

    Raises:
        InvalidOption: if two places are given, or one that cannot be used.
        MissingFile: if a table is not there.
    """
    given = [name for name, value in vars(options).items() if value]
    if len(given) > 1:
        raise InvalidOption(
            "Subjects come from one place: give one of --subjects, --subject-pattern and --subject-tag."
        )
    if options.column:
        column = read_column(options.column, pairs)
        return lambda pair, case: (column.of(pair), f"{column.described} has no subject for it")
    if options.pattern:
        pattern = options.pattern
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise InvalidOption(f"--subject-pattern {pattern!r} is no regular expression: {error}.") from None
        if not groups:
            raise InvalidOption(f"--subject-pattern {pattern!r} has no group: put the subject in (), e.g. '^([^_]+)_'.")
        why = "its name does not match --subject-pattern"
        return lambda pair, case: (subject_by_pattern(pattern, pair, case.name), why)
    if options.tag:
        from pydicom.datadict import tag_for_keyword

        if tag_for_keyword(options.tag) is None:
            raise InvalidOption(f"--subject-tag {options.tag}: DICOM has no such keyword. Write it as in PatientID.")
        return lambda pair, case: (case.tagged_subject or None, f"it has no {options.tag}")
    return lambda pair, case: (case.tagged_subject or case.study or split_fragment(pair.name)[0], "")


def subjects_from(options: SubjectOptions, *, tagged: int, studies: int, cases: int) -> str:
    """Where the subjects come from, in words.

    Args:
        options: As the user gave them.
        tagged: Cases whose file says whose it is.
        studies: Cases whose file says at least which study it is of.
        cases: All cases.
    """
    if options.column:
        return f"column {Path(options.column).name}"
    if options.pattern:
        return f"pattern {options.pattern}"
    if options.tag:
        return f"DICOM {options.tag}"
    counts = {"DICOM PatientID": tagged, "DICOM StudyInstanceUID": studies, ONE_A_FILE: cases - tagged - studies}
    return " where present, else ".join(name for name, count in counts.items() if count)


def subject_by_pattern(pattern: str, pair: Pair, slice_name: str = "") -> str | None:
    """Group 1 of a pattern in a case's name; None if it does not match.

    Args:
        pattern: Regular expression.
        pair: The case, or the volume that it is a slice of.
        slice_name: The name of the slice, `#slice=K` and all. It is asked where the volume's name does not match: a
            pattern that says nothing of slices must not make a subject of each.
    """
    # In one Unicode form: "ü" may be one character or two in names of files that are one person's.
    expression = unicodedata.normalize("NFC", pattern)
    names = (unicodedata.normalize("NFC", name) for name in (pair.name, slice_name))
    found = next(filter(None, (re.search(expression, name) for name in names)), None)
    return found[1] if found else None


def subject_pseudonym(subject: str, key: bytes) -> str:
    """What a datalist says instead of a subject's name: 16 hexadecimal digits of HMAC-SHA256."""
    return hmac.new(key, subject.encode(), hashlib.sha256).hexdigest()[:16]


def subject_key() -> tuple[bytes, str]:
    """The key of the pseudonyms, and where it came from.

    PLANAR_SUBJECT_KEY if it is set; else a file in the user's configuration folder, made on first use.

    Raises: InvalidOption: if the key is too short to protect anything.
    """
    given = os.environ.get(KEY_VARIABLE)
    if given:
        if len(given) < SHORTEST_KEY:
            raise InvalidOption(
                f"{KEY_VARIABLE} has {len(given)} characters: give at least {SHORTEST_KEY} random ones."
            )
        return given.encode(), KEY_VARIABLE
    file = config_folder() / "subject.key"
    file.parent.mkdir(parents=True, exist_ok=True)
    # The key appears under its name whole: a second process that starts at the same time sees all of it or none.
    aside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    if not file.exists():
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(secrets.token_hex(32))
        try:
            os.link(aside, file)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    key = file.read_text().strip()
    if len(key) < SHORTEST_KEY:
        raise InvalidOption(f"{file} holds no key. Delete it, or set {KEY_VARIABLE}.")
    return key.encode(), str(file)


def config_folder() -> Path:
    """Where this user's settings of planar are kept."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", Path.home())) / "planar"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "planar"
