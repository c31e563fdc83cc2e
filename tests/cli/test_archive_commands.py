"""`planar infer --from` and `planar index --from` as they are typed: what is told, and the exit status."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pydicom
import pytest
from click.testing import CliRunner, Result
from fake_archive import FakeArchive

from pipeline.bundle import Bundle
from pipeline.cli import index as index_module
from pipeline.cli import infer as infer_module
from pipeline.dicom_seg import Algorithm, read_terms, source_images, write_seg
from pipeline.errors import ArchiveUnreachable, InvalidOption
from pipeline.phantom import ct_series, radiograph, thorax
from pipeline.phantom.dicom import ct_slices_bytes, film_bytes


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANAR_SUBJECT_KEY", "a key for tests only")
    for name in ("USER", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"PLANAR_DICOMWEB_{name}", raising=False)


@pytest.fixture(scope="module")
def films() -> list[bytes]:
    made = [radiograph(thorax(number), seed=number, size=64) for number in range(10)]
    return [film_bytes(film, subject=f"PHANTOM-{n}", number=1, origin="cli") for n, film in enumerate(made)]


@pytest.fixture
def fake(films: list[bytes]) -> Iterator[FakeArchive]:
    archive = FakeArchive()
    archive.add(films)
    try:
        yield archive
    finally:
        archive.stop()


def typed(command: click.Command, *arguments: object) -> Result:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result


def add_masks(fake: FakeArchive, films: list[bytes], folder: Path, manufacturer: str) -> None:
    """A segmentation of each film, made by a machine of that maker."""
    for number, content in enumerate(films):
        path = folder / f"{number}.dcm"
        path.write_bytes(content)
        images = source_images(str(path))
        mask = np.zeros(images.grid.display_shape, np.uint8)
        mask[5 : 20 + number, 8:30] = 1
        write_seg(
            folder / "seg.dcm", images, mask, read_terms({0: "background", 1: "lung"}), Algorithm("m", "1", ("0" * 64,))
        )
        seg = pydicom.dcmread(folder / "seg.dcm")
        seg.Manufacturer = manufacturer
        seg.save_as(folder / "seg.dcm")
        fake.add([(folder / "seg.dcm").read_bytes()])


def films_of(bundle: Bundle, fake: FakeArchive) -> tuple[object, ...]:
    """What is typed to have the archive's films segmented."""
    return (bundle.root, "--from", fake.address, "--query", "Modality=DX", "--no-tracking")


def test_what_was_stored_is_told_and_the_second_time_that_it_is_there(
    random_bundle: Bundle, fake: FakeArchive, tmp_path: Path
) -> None:
    arguments = films_of(random_bundle, fake)
    first = typed(infer_module.command, *arguments, "-o", tmp_path / "out")
    assert first.return_value == 0
    assert "10 images segmented (10 slices), 10 files of masks" in first.stdout
    assert f"Archive {fake.address}: results of 10 images stored and found again (10 objects)" in first.stdout
    second = typed(infer_module.command, *arguments, "-o", tmp_path / "out")
    assert second.return_value == 0
    assert "results of 0 images stored and found again (0 objects), those of 10 were there before" in second.stdout
    assert second.stdout.startswith("Nothing to segment: all results are there.")


def test_a_study_and_what_is_left_out_of_it(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    add_masks(fake, films[:1], tmp_path, "Others")
    study = fake.of_modality("SEG")[0].StudyInstanceUID
    arguments = (random_bundle.root, "--from", fake.address, "--study", study, "--no-tracking", "--no-store")
    result = typed(infer_module.command, *arguments, "-o", tmp_path / "out")
    assert result.return_value == 0
    assert "1 file of masks" in result.stdout
    assert f"Archive {fake.address}: nothing stored" in result.stdout
    assert "Left out, no images: 1 SEG" in result.stdout


def test_a_studys_images_of_other_modalities_are_left_out_and_told(
    random_bundle: Bundle, fake: FakeArchive, tmp_path: Path
) -> None:
    series = ct_series(thorax(0), seed=0, size=32, slices=3)
    fake.add(ct_slices_bytes(series, subject="PHANTOM-0", origin="cli"))
    study = str(fake.of_modality("CT")[0].StudyInstanceUID)
    assert study in {str(film.StudyInstanceUID) for film in fake.of_modality("DX")}
    arguments = (random_bundle.root, "--from", fake.address, "--no-tracking", "--no-store", "-o", tmp_path / "out")
    result = typed(infer_module.command, *arguments, "--study", study)
    assert "1 image segmented (1 slice)" in result.stdout
    assert "Left out, the bundle is not made for them: 1 CT" in result.stdout
    asked = typed(infer_module.command, *arguments, "--study", study, "--query", "Modality=CT")
    assert "1 image segmented (3 slices)" in asked.stdout


def test_a_study_without_images_of_the_bundles_kind_is_told_before_anything_is_done(
    random_bundle: Bundle, tmp_path: Path
) -> None:
    from pipeline.errors import MissingFile

    ct = FakeArchive()
    try:
        ct.add(ct_slices_bytes(ct_series(thorax(0), seed=0, size=32, slices=3), subject="P", origin="cli"))
        study = str(ct.of_modality("CT")[0].StudyInstanceUID)
        arguments = (random_bundle.root, "--from", ct.address, "--study", study, "-o", tmp_path / "out")
        with pytest.raises(MissingFile, match=r"no series of CR or DX or RG found by .*Modality=CT takes them"):
            typed(infer_module.command, *arguments)
    finally:
        ct.stop()


def test_a_bad_film_is_named_and_the_status_says_so(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    uid = str(fake.of_modality("DX")[4].SOPInstanceUID)
    fake.objects[uid].content = films[4][:-100]
    result = typed(infer_module.command, *films_of(random_bundle, fake), "-o", tmp_path / "out")
    assert result.return_value == 1
    assert "9 files of masks" in result.stdout
    assert uid in result.stderr
    assert "1 of 10 sources got no mask" in result.stderr


def test_an_archive_that_ends_is_told_with_what_is_left(
    random_bundle: Bundle, fake: FakeArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fake_archive import Response

    from pipeline.dicomweb import Patience, Query, Selection

    impatient = Selection(fake.address, Query.parse("Modality=DX"), Patience(away_s=0.1, first_s=0.01, found_s=0.1))
    monkeypatch.setattr(Selection, "of", lambda *_: impatient)
    fake.before = lambda request: Response(None) if fake.of_modality("SEG") else None
    result = typed(infer_module.command, *films_of(random_bundle, fake), "-o", tmp_path / "out")
    assert result.return_value == 1
    assert "Stopped: " in result.stderr
    assert "not done. The same command goes on with them." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["film.png", "--from", "dicomweb://h/d", "--study", "1.2"], "two sources"),
        (["--no-store", "film.png"], "belong to --from"),
        ([], "Missing argument"),
    ],
)
def test_options_that_mean_nothing_together_are_told(arguments: list[str], told: str) -> None:
    with pytest.raises(click.UsageError, match=told):
        typed(infer_module.command, "cxr_lung_segmentation", *arguments)


def test_the_archives_options_are_checked_before_it_is_asked() -> None:
    bundle = "cxr_lung_segmentation"
    with pytest.raises(InvalidOption, match="name it with --from"):
        typed(infer_module.command, bundle, "film.png", "--study", "1.2.3")
    with pytest.raises(InvalidOption, match="Give --study UID, or --query"):
        typed(infer_module.command, bundle, "--from", "dicomweb://h/d")
    with pytest.raises(InvalidOption, match="holds a user or a password") as caught:
        typed(infer_module.command, bundle, "--from", "dicomweb://u:s3cret@h/d", "--study", "1.2.3")
    assert "s3cret" not in str(caught.value)
    with pytest.raises(click.UsageError, match="belong together"):
        typed(index_module.command, "--from", "dicomweb://h/d", "--study", "1.2", "-o", "d.json")
    with pytest.raises(click.UsageError, match="Missing arguments"):
        typed(index_module.command, "images", "-o", "d.json")


def test_an_archive_that_is_down_is_told_before_the_network_is_loaded(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"dicomweb://127.0.0.1:{free.getsockname()[1]}/dicom-web"
    with pytest.raises(ArchiveUnreachable, match="nothing listens there"):
        typed(infer_module.command, "cxr_lung_segmentation", "--from", address, "--study", "1.2.3", "-o", tmp_path)


def test_films_and_segmentations_of_an_archive_become_a_datalist(
    fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    add_masks(fake, films, tmp_path, "Others")
    arguments = ("--from", fake.address, "--query", "Modality=DX", "--download", tmp_path / "set", "--workers", "1")
    result = typed(index_module.command, *arguments, "-o", tmp_path / "d.json")
    assert result.return_value == 0
    assert "10 cases of 10 subjects (DICOM PatientID)" in result.stdout
    document = json.loads((tmp_path / "d.json").read_text())
    assert document["labels"] == {"0": "background", "1": "lung"}
    assert "PHANTOM" not in (tmp_path / "d.json").read_text()
    files = [path for path in (tmp_path / "set").rglob("*") if path.is_file()]
    assert len(files) == 20
    assert not [path for path in files if "PHANTOM" in str(path.relative_to(tmp_path))]
    # A second command retrieves nothing.
    fake.seen.clear()
    typed(index_module.command, *arguments, "-o", tmp_path / "d.json", "--overwrite")
    assert not [one for one in fake.seen if "multipart" in one.headers.get("accept", "")]


def test_masks_that_lie_here_are_paired_with_images_of_the_archive(
    fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    from PIL import Image

    (tmp_path / "masks").mkdir()
    for film in fake.of_modality("DX"):
        mask = np.zeros((film.Rows, film.Columns), np.uint8)
        mask[4:20, 5:30] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{film.SOPInstanceUID}_mask.png")
    arguments = (tmp_path / "masks", "--from", fake.address, "--query", "Modality=DX", "--download", tmp_path / "set")
    result = typed(index_module.command, *arguments, "--workers", "1", "-o", tmp_path / "d.json")
    assert "10 cases of 10 subjects" in result.stdout
    assert not (tmp_path / "set" / "masks").exists()


def test_a_network_does_not_learn_from_its_own_masks(fake: FakeArchive, films: list[bytes], tmp_path: Path) -> None:
    from pipeline.errors import MissingFile

    add_masks(fake, films[:2], tmp_path, "Planar")
    arguments = ("--from", fake.address, "--query", "Modality=DX", "--download", tmp_path / "set")
    with pytest.raises(MissingFile, match="there is no segmentation of these 10 series") as caught:
        typed(index_module.command, *arguments, "-o", tmp_path / "d.json")
    assert "2 of Planar's own segmentations left out" in str(caught.value)
    assert "1.2.3_mask.png for 1.2.3.dcm" in str(caught.value)


def test_an_image_that_the_archive_does_not_give_is_listed_and_the_others_are_indexed(
    fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    from fake_archive import Response

    add_masks(fake, films, tmp_path, "Others")
    bad = str(fake.of_modality("DX")[2].SOPInstanceUID)
    fake.before = lambda request: Response(404) if request.path.endswith(bad) else None
    arguments = ("--from", fake.address, "--query", "Modality=DX", "--download", tmp_path / "set", "--workers", "1")
    result = typed(index_module.command, *arguments, "-o", tmp_path / "d.json")
    assert result.return_value == 1
    assert "9 cases" in result.stdout
    refused = json.loads((tmp_path / "d.json").read_text())["refused"]
    assert [one["code"] for one in refused if bad in one["file"]] == ["not_retrieved"]
