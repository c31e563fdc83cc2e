"""What an archive holds, whatever its habits are."""

from __future__ import annotations

import pytest
from fake_archive import FakeArchive, Request, Response

from pipeline.dicomweb import Address, Archive, Query, Selection, are_slices, choose, find_series, instances_of
from pipeline.errors import ArchiveRefusal, MissingFile


def test_all_series_are_found_page_by_page(
    fake: FakeArchive, opened: Archive, films: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.add(films)
    monkeypatch.setattr("pipeline.dicomweb.listing.PAGE", 3)
    found = find_series(opened, Query.parse("Modality=DX"))
    assert len({one.uid for one in found}) == len(found) == 7
    assert [one.query["offset"] for one in fake.asked("GET", "/series")] == ["0", "3", "6", "7"]


@pytest.mark.parametrize("most", [2, None])
def test_an_archive_may_give_fewer_than_asked_for(
    fake: FakeArchive, opened: Archive, films: list[bytes], most: int | None
) -> None:
    fake.add(films)
    fake.most = most
    assert len(find_series(opened, Query.parse("Modality=DX"))) == 7


def test_an_archive_that_does_not_turn_pages_is_not_asked_for_ever(
    fake: FakeArchive, opened: Archive, films: list[bytes]
) -> None:
    fake.add(films)
    fake.knows_offset = False
    assert len(find_series(opened, Query.parse("Modality=DX"))) == 7
    assert len(fake.asked("GET", "/series")) == 2


def test_the_number_of_instances_saves_the_last_question(
    fake: FakeArchive, opened: Archive, slices: list[bytes]
) -> None:
    fake.add(slices)
    (series,) = find_series(opened, Query.parse("Modality=CT"))
    assert series.count == 5
    assert len(instances_of(opened, series)) == 5
    assert len(fake.asked("GET", "/instances")) == 1


def test_values_of_one_keyword_are_searched_for_one_by_one_and_each_series_comes_once(
    fake: FakeArchive, opened: Archive, films: list[bytes], slices: list[bytes]
) -> None:
    fake.add([*films, *slices])
    found = find_series(opened, Query.parse("Modality=CR,DX,CT"))
    assert [one.modality for one in found] == ["DX"] * 7 + ["CT"]
    asked = [one.query["Modality"] for one in fake.asked("GET", "/series") if one.query["offset"] == "0"]
    assert asked == ["CR", "DX", "CT"]


def test_an_archive_that_does_not_know_a_keyword_gives_no_strangers(
    fake: FakeArchive, opened: Archive, films: list[bytes], slices: list[bytes]
) -> None:
    fake.add([*films, *slices])
    fake.known = set()
    assert {one.modality for one in find_series(opened, Query.parse("Modality=CT"))} == {"CT"}
    assert find_series(opened, Query.parse("StudyDate=20200101-")) == []
    assert len(find_series(opened, Query.parse("StudyDate=-20200101"))) == 8


def test_a_study_is_looked_into_by_its_own_address(fake: FakeArchive, opened: Archive, films: list[bytes]) -> None:
    fake.add(films)
    study = fake.of_modality("DX")[3].StudyInstanceUID
    (series,) = find_series(opened, Query.parse(None, [study]))
    assert series.study == study
    assert fake.asked("GET", f"/studies/{study}/series")


def test_what_is_no_image_is_left_out_and_counted(
    fake: FakeArchive, opened: Archive, films: list[bytes], slices: list[bytes]
) -> None:
    fake.add([*films[:3], *slices])
    first, second, third = fake.of_modality("DX")
    first.Modality, second.Manufacturer = "SR", "Planar"
    del third.Modality
    choice = choose(find_series(opened, Query.parse("StudyDate=20000101")))
    # A series that does not say what it is may be an image.
    assert sorted(one.modality for one in choice.images) == ["", "CT"]
    assert choice.describe_left_out() == "1 SR, 1 results of Planar"


def test_slices_are_known_by_their_class_and_else_by_the_modality(
    fake: FakeArchive, opened: Archive, films: list[bytes], slices: list[bytes]
) -> None:
    fake.add([*films[:1], *slices])
    film, ct = find_series(opened, Query.parse("StudyDate=20000101"))
    assert [are_slices(one, instances_of(opened, one)) for one in (film, ct)] == [False, True]
    fake.hidden = {"SOPClassUID"}
    assert [are_slices(one, instances_of(opened, one)) for one in (film, ct)] == [False, True]


def test_nothing_found_is_told_with_the_query_but_for_a_patients_name(fake: FakeArchive, films: list[bytes]) -> None:
    fake.add(films)
    selection = Selection.of(fake.address, (), "PatientName=Doe*")
    with selection.open() as archive, pytest.raises(MissingFile, match="nothing found by PatientName=…\\.") as caught:
        selection.choose(archive)
    assert "Doe" not in str(caught.value)
    fake.of_modality("DX")[0].Modality = "SR"
    selection = Selection.of(fake.address, (), "Modality=SR")
    with (
        selection.open() as archive,
        pytest.raises(MissingFile, match="no images, but 1 SR series found by Modality=SR"),
    ):
        selection.choose(archive)


def test_a_search_at_the_root_of_a_server_is_told_where_dicomweb_may_be(fake: FakeArchive) -> None:
    fake.root = ""
    fake.before = lambda request: Response(404)
    with (
        Archive(Address.parse(fake.address)) as archive,
        pytest.raises(ArchiveRefusal, match="Is this the path of DICOM"),
    ):
        find_series(archive, Query.parse("Modality=DX"))


@pytest.mark.parametrize("body", [b"<html>", b'[{"0020000D": 7}]', b"[{}]", b""])
def test_an_answer_that_is_no_dicom_json_finds_nothing_or_is_told(
    fake: FakeArchive, opened: Archive, body: bytes
) -> None:
    def ill(request: Request) -> Response:
        return Response(body=body)

    fake.before = ill
    if body.startswith(b"<"):
        with pytest.raises(ArchiveRefusal, match="no DICOM JSON"):
            find_series(opened, Query.parse("Modality=DX"))
    else:
        assert find_series(opened, Query.parse("Modality=DX")) == []


def test_an_identifier_that_would_lead_elsewhere_is_no_identifier(
    fake: FakeArchive, opened: Archive, films: list[bytes]
) -> None:
    fake.add(films[:1])
    fake.before = lambda request: Response(
        body=b'[{"0020000D": {"Value": ["1.2.3"]}, "0020000E": {"Value": ["../../1.2"]}}]'
    )
    assert find_series(opened, Query.parse("Modality=DX")) == []
