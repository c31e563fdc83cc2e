"""Labels that lie in an archive: a bad one spoils nothing but itself."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from fake_archive import FakeArchive, Request, Response

from pipeline.dicomweb import Address, Archive, Patience
from pipeline.errors import ArchiveUnreachable
from pipeline.phantom import ct_series, radiograph, thorax
from pipeline.phantom.dicom import ct_slices_bytes, film_bytes
from pipeline.readers import write_mask

pytestmark = pytest.mark.label

QUICK = Patience(connect_s=5, read_s=5, away_s=0.2, first_s=0.01, longest_s=0.02, errors=1, found_s=0.2)


@pytest.fixture
def fake() -> Iterator[FakeArchive]:
    """An archive with two films, of a study each."""
    archive = FakeArchive()
    film = radiograph(thorax(1), seed=1, size=64)
    archive.add(film_bytes(film, subject=f"PHANTOM-{number}", number=1, origin="labels") for number in range(2))
    try:
        yield archive
    finally:
        archive.stop()


def images_of(fake: FakeArchive, folder: Path) -> Any:
    from pipeline.label_app.archive import ArchiveImages

    return ArchiveImages(Archive(Address.parse(fake.address), patience=QUICK), {}, folder, {0: "background", 1: "lung"})


def draw(images: Any, image: str, folder: Path, side: int = 20) -> None:
    picture = images.source(image).picture()
    mask = np.zeros(picture.grid.display_shape, np.uint8)
    mask[:side, 10:30] = 1
    write_mask(mask, picture, folder / "drawn.png")
    images.save_label(image, str(folder / "drawn.png"), "final", {"user": "anna"})


def look_again(images: Any) -> None:
    """As when some time has passed."""
    images._found_at = -60.0
    images._archived.forget()


def changed(content: bytes, change: Any) -> bytes:
    ds = pydicom.dcmread(io.BytesIO(content))
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SOPInstanceUID}.9"[-64:]
    change(ds)
    written = io.BytesIO()
    ds.save_as(written)
    return written.getvalue()


def segmentation(fake: FakeArchive) -> bytes:
    return next(one.content for one in fake.objects.values() if one.value("Modality") == "SEG")


def without_rows(ds: pydicom.Dataset) -> None:
    del ds.Rows


def of_no_segment(ds: pydicom.Dataset) -> None:
    ds.SegmentSequence[0].SegmentNumber = None


@pytest.mark.parametrize("harm", [without_rows, of_no_segment])
def test_a_segmentation_that_cannot_be_read_is_left_out_and_told_once(
    fake: FakeArchive, tmp_path: Path, harm: Any, caplog: pytest.LogCaptureFixture
) -> None:
    images = images_of(fake, tmp_path / "one")
    first, second = images.list_images()
    draw(images, first, tmp_path)
    fake.add([changed(segmentation(fake), harm)])
    other = images_of(fake, tmp_path / "two")
    with caplog.at_level(logging.WARNING):
        assert other.list_images() == [first, second]
        look_again(other)
        assert other.list_images() == [first, second]
    assert other.get_labeled_images() == [first]
    assert len([one for one in caplog.messages if "segmentations in the archive" in one]) == 1


def test_one_that_the_archive_does_not_give_is_left_out(fake: FakeArchive, tmp_path: Path) -> None:
    images = images_of(fake, tmp_path / "one")
    first, second = images.list_images()
    draw(images, first, tmp_path)
    lost = next(one.value("SOPInstanceUID") for one in fake.objects.values() if one.value("Modality") == "SEG")
    draw(images, second, tmp_path)

    def refuse(request: Request) -> Response | None:
        return Response(404, "text/plain") if lost in request.path else None

    fake.before = refuse
    other = images_of(fake, tmp_path / "two")
    assert other.list_images() == [first, second]
    assert other.get_labeled_images() == [second]


def test_the_label_of_a_series_that_is_no_image_spoils_no_others(
    fake: FakeArchive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fake.add(ct_slices_bytes(ct_series(thorax(1), seed=1, size=32, slices=4), subject="PHANTOM-5", origin="labels"))
    ct = fake.of_modality("CT")
    images = images_of(fake, tmp_path / "one")
    film = images.list_images()[0]
    draw(images, film, tmp_path)

    def of_the_ct(ds: pydicom.Dataset) -> None:
        ds.ReferencedSeriesSequence[0].SeriesInstanceUID = ct[0].SeriesInstanceUID

    fake.add([changed(segmentation(fake), of_the_ct)])
    # Two stacks at the same places in one series are no one image.
    slices = [one.content for one in fake.objects.values() if one.value("Modality") == "CT"]
    fake.add([changed(content, lambda ds: None) for content in slices])
    other = images_of(fake, tmp_path / "two")
    with caplog.at_level(logging.WARNING):
        assert ct[0].SeriesInstanceUID in other.list_images()
    assert other.get_labeled_images() == [film]
    assert [one for one in caplog.messages if "labels of images in the archive" in one and "1 InvalidOption" in one]


def test_an_archive_that_goes_away_is_no_bad_object(fake: FakeArchive, tmp_path: Path) -> None:
    images = images_of(fake, tmp_path / "one")
    draw(images, images.list_images()[0], tmp_path)
    other = images_of(fake, tmp_path / "two")
    series = fake.of_modality("SEG")[0].SeriesInstanceUID
    fake.before = lambda request: Response(None) if series in request.path else None
    with pytest.raises(ArchiveUnreachable):
        other.list_images()


def test_a_label_that_was_removed_does_not_come_back_until_somebody_draws_again(
    fake: FakeArchive, tmp_path: Path
) -> None:
    images = images_of(fake, tmp_path / "one")
    first, second = images.list_images()
    draw(images, first, tmp_path)
    look_again(images)
    assert images.get_labeled_images() == [first]
    images.remove_label(first, "final")
    for served in (images, images_of(fake, tmp_path / "one")):  # and when the server begins anew
        look_again(served)
        assert served.get_unlabeled_images() == [first, second]
    draw(images_of(fake, tmp_path / "two"), first, tmp_path, side=30)  # at another server
    look_again(images)
    assert images.get_labeled_images() == [first]


def test_a_label_that_is_found_in_the_archive_counts_in_the_same_answer(fake: FakeArchive, tmp_path: Path) -> None:
    images = images_of(fake, tmp_path / "one")
    first, second = images.list_images()
    draw(images, first, tmp_path)
    assert images_of(fake, tmp_path / "two").get_labeled_images() == [first]
    assert images_of(fake, tmp_path / "three").get_unlabeled_images() == [second]


def test_a_series_that_the_archive_does_not_list_is_left_out(
    fake: FakeArchive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listed = images_of(fake, tmp_path / "one").list_images()
    film = radiograph(thorax(2), seed=2, size=64)
    pair = [film_bytes(film, subject="PHANTOM-7", number=number, origin="pair") for number in (1, 2)]
    first = pydicom.dcmread(io.BytesIO(pair[0]))

    def into_one_series(ds: pydicom.Dataset) -> None:
        ds.StudyInstanceUID, ds.SeriesInstanceUID = first.StudyInstanceUID, first.SeriesInstanceUID

    fake.add([pair[0], changed(pair[1], into_one_series)])
    whole = images_of(fake, tmp_path / "two").list_images()
    assert len(whole) == len(listed) + 2

    def refuse(request: Request) -> Response | None:
        return Response(403, "text/plain") if f"{first.SeriesInstanceUID}/instances" in request.path else None

    fake.before = refuse
    with caplog.at_level(logging.WARNING):
        assert images_of(fake, tmp_path / "three").list_images() == listed
    assert [one for one in caplog.messages if "series in the archive" in one and "1 ArchiveRefusal" in one]
