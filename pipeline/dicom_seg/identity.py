"""What makes an archive file a result beside its images: patient and study, copied; series and instance, made."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterable
from typing import Any

__all__ = [
    "SERIES_KINDS",
    "copy_identity",
    "instance_number",
    "result_series_uid",
    "result_uid",
    "series_number",
    "uid_from_inputs",
]

# Modules Patient, Clinical Trial Subject, General Study, Patient Study, Clinical Trial Study (PS3.3, C.7.1 and C.7.2).
PATIENT_AND_STUDY = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "TypeOfPatientID",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientSex",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "EthnicGroup",
    "PatientComments",
    "PatientSpeciesDescription",
    "PatientSpeciesCodeSequence",
    "PatientBreedDescription",
    "PatientBreedCodeSequence",
    "BreedRegistrationSequence",
    "ResponsiblePerson",
    "ResponsiblePersonRole",
    "ResponsibleOrganization",
    "StrainDescription",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "QualityControlSubject",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialProtocolEthicsCommitteeName",
    "ClinicalTrialProtocolEthicsCommitteeApprovalNumber",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "ReferringPhysicianIdentificationSequence",
    "StudyID",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "StudyDescription",
    "PhysiciansOfRecord",
    "PhysiciansOfRecordIdentificationSequence",
    "NameOfPhysiciansReadingStudy",
    "PhysiciansReadingStudyIdentificationSequence",
    "RequestingServiceCodeSequence",
    "ReferencedStudySequence",
    "ProcedureCodeSequence",
    "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientSizeCodeSequence",
    "Occupation",
    "AdditionalPatientHistory",
    "AdmissionID",
    "IssuerOfAdmissionIDSequence",
    "ServiceEpisodeID",
    "ServiceEpisodeDescription",
    "PatientSexNeutered",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    "ConsentForClinicalTrialUseSequence",
)
# Empty is allowed, absent is not (type 2).
NEVER_ABSENT = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
SEXES = ("M", "F", "O")
_NAMESPACE = uuid.UUID("0b1c7c1e-5d34-4d0b-9a5e-706c616e6172")
MOST_SERIES = 2**31 // 100 - 1
# What a series of results holds.
SERIES_KINDS = ("seg", "sc")


def copy_identity(target: Any, source: Any, texts: tuple[str, ...] = ()) -> None:
    """Copy patient and study as they stand in the source, byte for byte where the character set allows.

    Args:
        target: The result's data set. What it says of patient and study is replaced.
        source: An image of the study, without pixels.
        texts: The result's own words, which the character set must be able to write too.
    """
    for keyword in (*PATIENT_AND_STUDY, "BodyPartExamined"):
        if keyword in target:
            del target[keyword]
        if keyword in source:
            element = source[keyword]
            _decode(element)
            target.add(copy.deepcopy(element))
    for keyword in NEVER_ABSENT:
        if keyword not in target:
            setattr(target, keyword, "")
    # Coded by the standard, and without use where they hold anything else.
    if target.PatientSex and str(target.PatientSex) not in SEXES:
        target.PatientSex = ""
    own = source.get("SpecificCharacterSet")
    plain = all(text.isascii() for text in texts)
    target.SpecificCharacterSet = copy.deepcopy(own) if own and plain else ("ISO_IR 100" if plain else "ISO_IR 192")


def _decode(element: Any) -> None:
    """Decode what lies in a sequence.

    pydicom writes the bytes of what nobody has looked at as they were read, but the result may have another character
    set and byte order.
    """
    if element.VR == "SQ":
        for item in element.value:
            for inner in item:
                _decode(inner)


def result_uid(*parts: object) -> str:
    """The unique identifier of a result: the same parts always give the same one.

    So a result that is made and sent a second time is the same object, and not another beside it.

    References: DICOM PS3.5, B.2 (2.25 and a UUID as a number).
    """
    return f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(map(str, parts))).int}"


def result_series_uid(kind: str, source_series: str, weights_digest: str) -> str:
    """SeriesInstanceUID of the results that some weights give for the images of a series.

    Args:
        kind: One of `SERIES_KINDS`.
        source_series: SeriesInstanceUID of the images.
        weights_digest: `Algorithm.digest`.
    """
    return result_uid(f"series of {kind}", source_series, weights_digest)


def uid_from_inputs(kind: str, job: str, images: Iterable[tuple[str, int]]) -> str:
    """SOPInstanceUID of a result by what goes into it, so that it is known before the result is.

    An archive can then be asked whether it has the result already, and two processes that segment one image make one
    object, be their processors' last digits different.

    Args:
        kind: Of the object, such as "seg binary".
        job: Digest of everything but the images that the result depends on.
        images: SOPInstanceUID and frame of each image, in any order.
    """
    return result_uid("from inputs", kind, job, sorted(images))


def series_number(source: Any, offset: int) -> int:
    """The number of a result's series: a hundred times the source's, as scanners number what they derive.

    Args:
        source: An image of the series.
        offset: 1 to 99, for each kind of result another.
    """
    return 100 * min(_whole(source, "SeriesNumber"), MOST_SERIES) + offset


def instance_number(source: Any) -> int:
    """The number of a result in its series: the source's, so that the results of a series have different ones."""
    return max(1, _whole(source, "InstanceNumber"))


def _whole(source: Any, keyword: str) -> int:
    """A number of a header, or 0 if it is none."""
    try:
        return max(0, int(source.get(keyword) or 0))
    except (TypeError, ValueError):
        return 0
