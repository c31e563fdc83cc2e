"""What `--query` and `--study` mean."""

from __future__ import annotations

import pytest

from pipeline.dicomweb import Query
from pipeline.errors import InvalidOption


def test_keywords_and_values_are_read() -> None:
    query = Query.parse("Modality=DX,StudyDate=20260101-")
    assert query.keys == {"Modality": ("DX",), "StudyDate": ("20260101-",)}
    assert query.describe() == "Modality=DX,StudyDate=20260101-"


def test_a_part_without_an_equals_sign_is_another_value_and_each_is_searched_for_alone() -> None:
    query = Query.parse("Modality=cr, DX,PatientID=A 7*")
    assert query.searches() == [
        {"Modality": "CR", "PatientID": "A 7*"},
        {"Modality": "DX", "PatientID": "A 7*"},
    ]


def test_studies_and_a_query_hold_together() -> None:
    query = Query.parse("Modality=CT", ["1.2.3", "1.2.4", "1.2.3"])
    assert query.searches() == [
        {"Modality": "CT", "StudyInstanceUID": "1.2.3"},
        {"Modality": "CT", "StudyInstanceUID": "1.2.4"},
    ]


@pytest.mark.parametrize("dates", ["20260131", "20260101-20260131", "-20260131", "20260101-"])
def test_a_date_may_be_a_range(dates: str) -> None:
    assert Query.parse(f"StudyDate={dates}").keys["StudyDate"] == (dates,)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Modalty=DX", "no keyword Modalty .* Did you mean Modality"),
        ("modality=DX", "Did you mean Modality"),
        ("SOPInstanceUID=1.2.3", "no keyword SOPInstanceUID to search series by"),
        ("Weather=Doe", "Series are searched by PatientName, "),
        ("Modality=", "Modality has no value"),
        ("Modality=DX,", "Modality has no value"),
        ("", "no equals sign"),
        ("DX", "no equals sign"),
        ("Doe John=1", "no keyword"),
        ("StudyDate=2026-01-01", "is no date"),
        ("StudyDate=20260132", "is no date"),
        ("StudyDate=-", "is no date"),
        ("StudyDate=20260201-20260101", "is no date"),
        ("StudyInstanceUID=1.2.Doe", "is no identifier"),
    ],
)
def test_what_cannot_be_searched_for_is_told_without_its_value(text: str, told: str) -> None:
    with pytest.raises(InvalidOption, match=told) as caught:
        Query.parse(text)
    assert "Doe" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_something_must_be_searched_for() -> None:
    with pytest.raises(InvalidOption, match="Which images of the archive"):
        Query.parse(None)
    with pytest.raises(InvalidOption, match="no StudyInstanceUID"):
        Query.parse(None, ["../../etc"])


def test_values_are_not_in_the_representation() -> None:
    assert "Doe" not in repr(Query.parse("PatientName=Doe*"))


def test_a_query_is_told_as_it_was_given_but_for_what_tells_a_patient() -> None:
    query = Query.parse("Modality=dx,PatientName=Doe*,StudyDate=20260101-", ["1.2.3"])
    assert query.describe() == "Modality=DX,PatientName=…,StudyDate=20260101-,StudyInstanceUID=1.2.3"
