"""What is stored is found again, in its study."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_archive import FakeArchive, Request, Response

from pipeline.dicomweb import Archive, present, store
from pipeline.errors import ArchiveRefusal, ArchiveUnreachable


@pytest.fixture
def film(films: list[bytes], tmp_path: Path) -> Path:
    path = tmp_path / "film.dcm"
    path.write_bytes(films[0])
    return path


@pytest.fixture
def study(films: list[bytes]) -> str:
    import io

    import pydicom

    return str(pydicom.dcmread(io.BytesIO(films[0])).StudyInstanceUID)


def failing(code: int, status: int) -> Response:
    failed = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [code]}}]}}
    return Response(status, body=json.dumps(failed).encode())


def test_a_file_is_stored_byte_for_byte_into_its_study_and_looked_up_there(
    fake: FakeArchive, opened: Archive, film: Path, study: str, films: list[bytes]
) -> None:
    stored = store(opened, film, study)
    assert fake.objects[stored.instance].content == films[0]
    assert [one.path for one in fake.asked("POST")] == [f"/dicom-web/studies/{study}"]
    assert fake.asked("GET", f"/studies/{study}/series/{stored.series}/instances")
    assert present(opened, study, stored.series, [stored.instance, "1.2.3"]) == {stored.instance}


def test_a_file_of_another_study_is_not_stored(fake: FakeArchive, opened: Archive, film: Path) -> None:
    with pytest.raises(ArchiveRefusal, match="its header says study"):
        store(opened, film, "1.2.3")
    assert fake.seen == []


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (Response(409), r"the archive does not take it \(409\)"),
        (Response(409, "text/html", b"<html>"), r"the archive does not take it \(409\)"),
        (failing(0xA700, 409), r"stored: the archive is full \(failure reason A700\) \(409\)\.$"),
        (failing(0xA7FF, 409), "the archive is full"),
        (failing(0xA901, 409), "does not fit its kind"),
        (failing(0xC000, 400), "cannot be understood"),
        (failing(0xC122, 409), "does not take this transfer syntax"),
        (failing(0x0122, 202), "the archive does not take objects of this kind"),
        (failing(0x1234, 200), r"does not say why .*\(failure reason 1234\)"),
        (
            Response(
                409,
                "application/dicom+xml",
                b'<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM"><DicomAttribute '
                b'tag="00081198" vr="SQ"><Item number="1"><DicomAttribute tag="00081197" vr="US"><Value number="1">292'
                b"</Value></DicomAttribute></Item></DicomAttribute></NativeDicomModel>",
            ),
            r"the archive does not allow it \(failure reason 0124\)",
        ),
        (Response(413), "larger than the archive takes"),
        (Response(403), r"is not allowed to \(403\)"),
        (Response(200, body=b"{}"), "it is not found afterwards"),
        (Response(200, "application/dicom+xml", b"<what"), "its answer cannot be read"),
    ],
)
def test_what_the_archive_does_not_take_is_told(
    response: Response, told: str, fake: FakeArchive, opened: Archive, film: Path, study: str
) -> None:
    fake.before = lambda request: response if request.method == "POST" else None
    with pytest.raises(ArchiveRefusal, match=told):
        store(opened, film, study)


def test_an_archive_that_refuses_what_it_has_already_has_it(
    fake: FakeArchive, opened: Archive, film: Path, study: str, films: list[bytes]
) -> None:
    fake.add(films[:1])
    fake.before = lambda request: failing(0x0111, 409) if request.method == "POST" else None
    assert store(opened, film, study).study == study


def test_an_archive_that_takes_a_moment_to_find_it_is_waited_for(
    fake: FakeArchive, opened: Archive, film: Path, study: str
) -> None:
    opened.patience = replace(opened.patience, found_s=30)
    empty = iter([Response(body=b"[]"), Response(404)])
    fake.before = lambda request: next(empty, None) if request.method == "GET" else None
    store(opened, film, study)


def test_an_archive_that_is_away_for_a_moment_gets_it_once(
    fake: FakeArchive, opened: Archive, film: Path, study: str
) -> None:
    def cut_after(request: Request) -> Response | None:
        if request.method == "POST" and len(fake.asked("POST")) < 3:
            fake.before, before = (lambda _: None), fake.before
            fake.answer(request)  # it is stored, and its answer is lost
            fake.seen.pop()
            fake.before = before
            return Response(None)
        return None

    fake.before = cut_after
    store(opened, film, study)
    assert len(fake.objects) == 1
    assert len(fake.asked("POST")) == 3


def test_an_archive_that_stays_away_is_told(fake: FakeArchive, opened: Archive, film: Path, study: str) -> None:
    fake.before = lambda request: Response(503)
    with pytest.raises(ArchiveUnreachable, match=r"does not answer \(503\)"):
        store(opened, film, study)


def test_many_objects_of_a_series_are_asked_for_at_once(
    fake: FakeArchive, opened: Archive, slices: list[bytes]
) -> None:
    fake.add(slices)
    ds = fake.of_modality("CT")[0]
    uids = [str(one.SOPInstanceUID) for one in fake.of_modality("CT")]
    assert present(opened, ds.StudyInstanceUID, ds.SeriesInstanceUID, [*uids, "1.2.3"]) == set(uids)
    assert len(fake.seen) == 2
    assert present(opened, ds.StudyInstanceUID, "1.2.3.4", uids) == set()


def test_a_series_that_is_not_there_yet_has_nothing(fake: FakeArchive, opened: Archive) -> None:
    fake.before = lambda request: Response(404)
    assert present(opened, "1.2.3", "1.2.4", ["1.2.5"]) == set()
