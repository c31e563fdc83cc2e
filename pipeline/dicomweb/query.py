"""What to look for in an archive: `Modality=CR,DX,StudyDate=20260101-`."""

from __future__ import annotations

import datetime
import difflib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.errors import InvalidOption

__all__ = ["Query", "is_uid"]

# What series are searched by (PS3.18, 10.6.1.2.3; PS3.4, C.6.2.1): of the patient, the study and the series.
KEYWORDS = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ModalitiesInStudy",
    "ReferringPhysicianName",
    "StudyInstanceUID",
    "StudyID",
    "StudyDescription",
    "InstitutionName",
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "BodyPartExamined",
    "Laterality",
    "ProtocolName",
    "Manufacturer",
    "StationName",
    "PerformedProcedureStepStartDate",
)
CODED = frozenset({"Modality", "ModalitiesInStudy", "BodyPartExamined", "Laterality", "PatientSex"})
# Keywords whose values tell no patient: messages may repeat them. The dates are those that a user asks for.
TOLD = CODED - {"PatientSex"} | {"StudyDate", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "Manufacturer"}
UID = re.compile(r"[0-9]+(\.[0-9]+)*")
LONGEST_UID = 64
EXAMPLE = "Write KEYWORD=VALUE,KEYWORD=VALUE, such as Modality=CR,DX,StudyDate=20260101-20260131."


@dataclass(frozen=True)
class Query:
    """What the series that are meant have in common.

    Attributes:
        keys: Keyword → the values of which a series must have one. Values may be patients' names.
    """

    keys: Mapping[str, tuple[str, ...]] = field(repr=False)

    @classmethod
    def parse(cls, text: str | None, studies: Sequence[str] = ()) -> Query:
        """Read what a user wrote.

        A value may be a range of dates (`20260101-`, `-20260131`, `20260101-20260131`) and hold * and ?. A part without
        an equals sign is another value of the keyword before it.

        Args:
            text: The query, or None.
            studies: StudyInstanceUIDs that the series must be of.
        Raises: InvalidOption: for a keyword that series are not searched by, or a value that cannot be one. No message
            repeats a value.
        """
        keys: dict[str, tuple[str, ...]] = {}
        keyword = ""
        for part in text.split(",") if text is not None else ():
            before, equals, value = part.partition("=")
            if equals:
                keyword = _known(before.strip())
            elif not keyword:
                raise InvalidOption(f"--query: its first part has no equals sign. {EXAMPLE}")
            given = (value if equals else part).strip()
            keys[keyword] = (*keys.get(keyword, ()), _checked(keyword, given))
        for study in studies:
            if not is_uid(study.strip()):
                raise InvalidOption("--study: that is no StudyInstanceUID, which is up to 64 digits and dots.")
            keys["StudyInstanceUID"] = (*keys.get("StudyInstanceUID", ()), study.strip())
        if not keys:
            raise InvalidOption("Which images of the archive? Give --study UID, or --query 'Modality=DX,…'.")
        return cls({name: tuple(dict.fromkeys(values)) for name, values in keys.items()})

    def searches(self) -> list[dict[str, str]]:
        """The searches that together find all that is meant: one value of each keyword at a time.

        The standard has lists of values for identifiers alone, and archives differ in what they take for others.
        """
        return [dict(zip(self.keys, values, strict=True)) for values in itertools.product(*self.keys.values())]

    def describe(self) -> str:
        """The query as it was given, but for the values that may tell whose images they are."""
        return ",".join(f"{name}={','.join(values) if name in TOLD else '…'}" for name, values in self.keys.items())

    @property
    def only_studies(self) -> bool:
        """Whether it names studies and says nothing of what is wanted of them."""
        return self.keys.keys() == {"StudyInstanceUID"}


def is_uid(text: str) -> bool:
    """Whether a text is a DICOM identifier, and so can be part of an address or a file's name."""
    return len(text) <= LONGEST_UID and UID.fullmatch(text) is not None


def _known(keyword: str) -> str:
    if keyword in KEYWORDS:
        return keyword
    if not re.fullmatch(r"[A-Za-z]{1,64}", keyword):  # it may be a value with an equals sign
        raise InvalidOption(f"--query: what stands before an equals sign is no keyword. {EXAMPLE}")
    near = difflib.get_close_matches(keyword, KEYWORDS, n=1) or [
        name for name in KEYWORDS if name.lower() == keyword.lower()
    ]
    hint = f"Did you mean {near[0]}?" if near else f"Series are searched by {', '.join(KEYWORDS)}."
    raise InvalidOption(f"--query: there is no keyword {keyword} to search series by. {hint}")


def _checked(keyword: str, value: str) -> str:
    if not value:
        raise InvalidOption(f"--query: {keyword} has no value. {EXAMPLE}")
    if keyword in CODED:
        value = value.upper()
    if keyword.endswith("UID") and not is_uid(value):
        raise InvalidOption(f"--query: the value of {keyword} is no identifier, which is up to 64 digits and dots.")
    if keyword.endswith("Date") and not _is_dates(value):
        raise InvalidOption(
            f"--query: the value of {keyword} is no date. Write 20260131, 20260101-20260131, 20260101- or -20260131."
        )
    return value


def _is_dates(value: str) -> bool:
    ends = value.split("-")
    if len(ends) > 2 or not any(ends):
        return False
    for end in filter(None, ends):
        try:
            datetime.datetime.strptime(end, "%Y%m%d")
        except ValueError:
            return False
        if len(end) != 8:
            return False
    return len(ends) < 2 or not all(ends) or ends[0] <= ends[1]
