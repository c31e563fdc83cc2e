"""Images come whole, or not at all, and once."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_archive import BOUNDARY, FakeArchive, Request, Response

from pipeline.dicomweb import Archive, retrieve
from pipeline.dicomweb.faults import CutShortError
from pipeline.dicomweb.multipart import boundary_of, parts_to_disk
from pipeline.errors import ArchiveRefusal, ArchiveUnreachable

Pieces = Callable[[bytes, int], Iterator[bytes]]
HEAD = b"Content-Type: application/dicom\r\n\r\n"


def aside_in(folder: Path) -> Callable[[], Path]:
    numbers = itertools.count()
    return lambda: folder / f"{next(numbers)}"


def series_of(fake: FakeArchive, modality: str) -> tuple[str, str, list[str]]:
    found = fake.of_modality(modality)
    return found[0].StudyInstanceUID, found[0].SeriesInstanceUID, [str(one.SOPInstanceUID) for one in found]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
def test_parts_are_cut_wherever_the_pieces_end(size: int, chunked: Pieces, tmp_path: Path) -> None:
    # What looks like a boundary and is none, and lines that end as boundaries begin.
    contents = [b"one\r\n--b\r\n-", b"", b"\r\n\r\n--bound\r\n", b"\r\n--", bytes(range(256)) * 3]
    body = b"a word before\r\n"
    body += b"".join(b"\r\n--bounds\r\n" + HEAD + content for content in contents) + b"\r\n--bounds--\r\nand after"
    found = list(parts_to_disk(chunked(body, size), b"bounds", aside_in(tmp_path)))
    assert [path.read_bytes() for path in found] == contents


def test_a_first_boundary_without_a_line_before_it_and_parts_without_headers_are_known(tmp_path: Path) -> None:
    found = parts_to_disk([b"--b\r\n\r\nall\r\n--b--"], b"b", aside_in(tmp_path))
    assert [path.read_bytes() for path in found] == [b"all"]


def test_a_body_without_its_end_is_told_and_its_last_part_is_gone(tmp_path: Path) -> None:
    parts = parts_to_disk([b"--b\r\n\r\none\r\n--b\r\n\r\ntw"], b"b", aside_in(tmp_path))
    assert next(parts).read_bytes() == b"one"
    with pytest.raises(CutShortError):
        next(parts)
    assert names_in(tmp_path) == ["0"]


def test_a_part_is_never_held_in_memory(tmp_path: Path) -> None:
    piece, count = b"x" * (1 << 18), 64
    body = itertools.chain([b"--b\r\n\r\n"], itertools.repeat(piece, count), [b"\r\n--b--"])
    tracemalloc.start()
    try:
        (path,) = parts_to_disk(body, b"b", aside_in(tmp_path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size == count * len(piece)
    assert peak < 8 * len(piece)


def test_the_boundary_is_that_of_the_header() -> None:
    assert boundary_of('multipart/related; type="application/dicom"; boundary="a b=c"') == b"a b=c"
    assert boundary_of("Multipart/Related;boundary=x") == b"x"
    assert boundary_of("multipart/related") is None
    assert boundary_of("application/dicom; boundary=x") is None


def test_a_series_is_retrieved_at_once_byte_for_byte_and_not_again(
    fake: FakeArchive, opened: Archive, slices: list[bytes], tmp_path: Path
) -> None:
    fake.add(slices)
    study, series, uids = series_of(fake, "CT")
    files = retrieve(opened, study, series, uids, tmp_path / "ct")
    assert [path.read_bytes() for path in files] == slices
    assert [path.name for path in files] == [f"{uid}.dcm" for uid in uids]
    (asked,) = fake.seen
    assert asked.headers["accept"] == 'multipart/related; type="application/dicom"; transfer-syntax=*'
    retrieve(opened, study, series, uids, tmp_path / "ct")
    assert len(fake.seen) == 1
    files[2].unlink()
    retrieve(opened, study, series, uids, tmp_path / "ct")
    assert [one.path.rpartition("/")[2] for one in fake.seen[1:]] == [uids[2]]


def test_others_of_the_series_are_not_kept(
    fake: FakeArchive, opened: Archive, slices: list[bytes], tmp_path: Path
) -> None:
    fake.add(slices)
    study, series, uids = series_of(fake, "CT")
    retrieve(opened, study, series, uids[:2], tmp_path)
    assert names_in(tmp_path) == sorted(f"{uid}.dcm" for uid in uids[:2])


@pytest.mark.parametrize("how", ["length", "boundary", "connection"])
def test_an_answer_that_breaks_off_is_asked_for_again_and_what_came_of_it_is_kept(
    how: str, fake: FakeArchive, opened: Archive, slices: list[bytes], tmp_path: Path
) -> None:
    fake.add(slices)
    study, series, uids = series_of(fake, "CT")
    body = fake.multipart(slices)
    kind = f"multipart/related; boundary={BOUNDARY}"
    half = len(body) // 2
    ill = {
        "length": Response(200, kind, body, sent=half),  # fewer bytes than are announced
        "boundary": Response(200, kind, body[:half]),  # the announced bytes, and no end
        "connection": Response(None),
    }[how]
    answers = iter([ill])
    fake.before = lambda request: next(answers, None)
    files = retrieve(opened, study, series, uids, tmp_path)
    assert [path.read_bytes() for path in files] == slices
    assert len(fake.seen) == 2
    assert names_in(tmp_path) == sorted(f"{uid}.dcm" for uid in uids)


def test_what_a_series_lacks_is_asked_for_one_by_one(
    fake: FakeArchive, opened: Archive, slices: list[bytes], tmp_path: Path
) -> None:
    fake.add(slices)
    study, series, uids = series_of(fake, "CT")
    kind = f"multipart/related; boundary={BOUNDARY}"

    def lacking(request: Request) -> Response | None:
        return Response(200, kind, fake.multipart(slices[:3])) if request.path.endswith(series) else None

    fake.before = lacking
    retrieve(opened, study, series, uids, tmp_path)
    assert [one.path.rpartition("/")[2] for one in fake.seen] == [series, *uids[3:]]


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_failure_that_passes_is_waited_for(
    status: int, fake: FakeArchive, opened: Archive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:1])
    answers = iter([Response(status, headers={"Retry-After": "0"}), Response(status)])
    fake.before = lambda request: next(answers, None)
    retrieve(opened, *series_of(fake, "DX"), tmp_path)
    assert len(fake.seen) == 3


def test_an_archive_that_fails_at_one_image_is_not_asked_for_it_for_ever(
    fake: FakeArchive, opened: Archive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:1])
    fake.before = lambda request: Response(500, "text/plain", b"no decoder for PHANTOM")
    with pytest.raises(ArchiveRefusal, match=r"image [0-9.]+ cannot be retrieved: the archive failed \(500\)"):
        retrieve(opened, *series_of(fake, "DX"), tmp_path)
    assert len(fake.seen) == opened.patience.errors
    assert names_in(tmp_path) == []


def test_an_archive_that_stays_away_is_told(
    fake: FakeArchive, opened: Archive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:1])
    wanted = series_of(fake, "DX")
    fake.stop()
    with pytest.raises(ArchiveUnreachable, match="nothing listens there"):
        retrieve(opened, *wanted, tmp_path)


def test_an_image_that_is_gone_is_told_at_once(
    fake: FakeArchive, opened: Archive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:1])
    study, series, _ = series_of(fake, "DX")
    with pytest.raises(ArchiveRefusal, match=r"it is not there \(404\)"):
        retrieve(opened, study, series, ["1.2.3"], tmp_path)
    assert len(fake.seen) == 1


def test_one_image_without_parts_is_an_image_too(
    fake: FakeArchive, opened: Archive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:1])
    fake.before = lambda request: Response(200, "application/dicom; transfer-syntax=1.2.840.10008.1.2.1", films[0])
    (path,) = retrieve(opened, *series_of(fake, "DX"), tmp_path)
    assert path.read_bytes() == films[0]


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (Response(200, "text/html", b"<html>"), "an image was asked for, and text/html came"),
        (Response(200, f"multipart/related; boundary={BOUNDARY}", f"--{BOUNDARY}--".encode()), "another one, or none"),
        (Response(200, "application/dicom", b"no DICOM"), "another one, or none"),
        (Response(204, ""), "another one, or none"),
    ],
)
def test_what_is_no_image_is_told_and_not_kept(
    response: Response, told: str, fake: FakeArchive, opened: Archive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:1])
    fake.before = lambda request: response
    with pytest.raises(ArchiveRefusal, match=told):
        retrieve(opened, *series_of(fake, "DX"), tmp_path)
    assert names_in(tmp_path) == []


def test_another_image_than_the_one_that_was_asked_for_is_not_taken(
    fake: FakeArchive, opened: Archive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:1])
    fake.before = lambda request: Response(200, "application/dicom", films[1])
    with pytest.raises(ArchiveRefusal, match="the archive gives another one"):
        retrieve(opened, *series_of(fake, "DX"), tmp_path)
    assert names_in(tmp_path) == []
