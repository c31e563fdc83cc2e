"""Orthanc, filled by DCMTK: images segmented, results stored back once, and read by others."""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from planar_shell import Shell
from pydicom.uid import JPEG2000Lossless

from benchmarks.orthanc import Orthanc
from pipeline.bundle import Bundle
from pipeline.dicom_seg import Algorithm, read_terms, source_images, write_seg
from pipeline.dicomweb import Query, find_series, open_archive, present, store
from pipeline.readers import read_picture
from pipeline.tasks.infer import infer
from pipeline.tasks.phantom import make_phantoms

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]

QUERY = ("--query", "Modality=CR,DX")


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANAR_SUBJECT_KEY", "a key for tests only")
    for name in ("USER", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"PLANAR_DICOMWEB_{name}", raising=False)


@pytest.fixture
def here(tmp_path: Path) -> Shell:
    """A shell with a store of its own."""
    return Shell(tmp_path, f"sqlite:///{tmp_path / 'mlruns.db'}")


def films_in(folder: Path, number: int, kind: str = "radiograph") -> list[Path]:
    """Films of the phantom, bone white and bone black, and with "both" a CT series of each body."""
    make_phantoms(folder, number=number, size=96, kind=kind, format="dicom")
    return sorted(folder.rglob("*.dcm"))


def require_one_seg_each(orthanc: Orthanc, films: list[Path]) -> None:
    """Fail unless each film has one SEG, in its study, that refers to it."""
    segs = orthanc.find(Modality="SEG")
    referred = Counter()
    for found in segs:
        seg = pydicom.dcmread(io.BytesIO(orthanc.file(found["SOPInstanceUID"])))
        (series,) = seg.ReferencedSeriesSequence
        (image,) = series.ReferencedInstanceSequence
        referred[(str(seg.StudyInstanceUID), str(image.ReferencedSOPInstanceUID))] += 1
        assert found["StudyInstanceUID"] == seg.StudyInstanceUID
    headers = [pydicom.dcmread(film, stop_before_pixels=True) for film in films]
    assert referred == Counter({(str(ds.StudyInstanceUID), str(ds.SOPInstanceUID)): 1 for ds in headers})


def test_films_and_a_ct_get_results_that_others_read(
    orthanc: Orthanc, here: Shell, random_bundle: Bundle, tmp_path: Path
) -> None:
    files = films_in(tmp_path / "phantom", 3, "both")
    orthanc.send(files)
    arguments = ("infer", random_bundle.root, "--from", orthanc.address, "--query", "StudyDate=20000101")
    done = here.planar(*arguments, "--format", "dicomseg,sc", "-o", "out", "--statistics")
    assert "stored and found again" in done.stdout
    studies = {str(pydicom.dcmread(file, stop_before_pixels=True).StudyInstanceUID) for file in files}
    segs = orthanc.find(Modality="SEG")
    assert {found["StudyInstanceUID"] for found in segs} == studies
    series_of_ct = {file.parent for file in files if file.parent.parent.name == "ct"}
    films = [file for file in files if file.parent.name == "dicom"]
    assert len(segs) == len(films) + len(series_of_ct)
    pictures = len(orthanc.find(Modality="OT"))
    assert pictures == len(files)
    for found in segs:
        path = tmp_path / f"{found['SOPInstanceUID']}.dcm"
        path.write_bytes(orthanc.file(found["SOPInstanceUID"]))
        assert hd.seg.segread(path).SOPInstanceUID == found["SOPInstanceUID"]
        dumped = subprocess.run(["dcmdump", "+P", "SOPClassUID", str(path)], capture_output=True, text=True, check=True)
        assert "=SegmentationStorage" in dumped.stdout
        if shutil.which("dciodvfy"):
            judged = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
            assert not [line for line in (judged.stdout + judged.stderr).splitlines() if line.startswith("Error")]
    # The mask is the one that the file itself gets.
    film = films[0]
    infer(str(random_bundle.root), [str(film)], tmp_path / "by_file", formats=["png"])
    by_file = read_picture(tmp_path / "by_file" / f"{film.stem}_mask.png").array
    ds = pydicom.dcmread(film)
    (kept,) = (tmp_path / "out").rglob(f"{ds.SOPInstanceUID}_seg.dcm")
    of_archive = read_picture(f"{kept}#instance={ds.SOPInstanceUID}", labels=True).array
    np.testing.assert_array_equal(of_archive, by_file)
    again = here.planar(*arguments, "--format", "dicomseg,sc", "-o", "out")
    assert "results of 0 images stored" in again.stdout
    assert len(orthanc.find(Modality="SEG")) == len(segs)


def test_fifty_films_with_a_kill_among_them_get_fifty_segs(
    orthanc: Orthanc, here: Shell, random_bundle: Bundle, tmp_path: Path
) -> None:
    films = films_in(tmp_path / "phantom", 50)
    orthanc.send(films)
    arguments = ("infer", random_bundle.root, "--from", orthanc.address, *QUERY, "-o", "out")
    process = here.begin("-c", "from pipeline.cli import main; main()", *arguments)
    try:
        wait_for(lambda: len(orthanc.find(Modality="SEG")) >= 15, process, here)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    time.sleep(1)  # what was on its way arrives all the same
    there = len(orthanc.find(Modality="SEG"))
    assert 15 <= there < 50
    done = here.planar(*arguments)
    assert f"those of {there} were there before" in done.stdout
    require_one_seg_each(orthanc, films)
    assert len(list((tmp_path / "out").rglob("*_seg.dcm"))) == 50
    assert not list((tmp_path / "out").glob(".retrieved*"))


def test_an_archive_that_crashes_and_comes_back_gets_what_is_missing(
    orthanc: Orthanc, here: Shell, random_bundle: Bundle, tmp_path: Path
) -> None:
    films = films_in(tmp_path / "phantom", 30)
    orthanc.send(films)
    arguments = ("infer", random_bundle.root, "--from", orthanc.address, *QUERY, "-o", "out", "--no-tracking")
    process = here.begin("-c", "from pipeline.cli import main; main()", *arguments)
    try:
        wait_for(lambda: len(orthanc.find(Modality="SEG")) >= 5, process, here)
        orthanc.stop()
        time.sleep(5)
        assert process.poll() is None
        orthanc.start()
        assert process.wait(600) == 0, here.told[-3000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    require_one_seg_each(orthanc, films)


def test_two_commands_at_once_make_one_seg_of_each_film(
    orthanc: Orthanc, here: Shell, random_bundle: Bundle, tmp_path: Path
) -> None:
    films = films_in(tmp_path / "phantom", 12)
    orthanc.send(films)
    code = ("-c", "from pipeline.cli import main; main()", "infer", random_bundle.root, "--from", orthanc.address)
    processes = [here.begin(*code, *QUERY, "-o", out, "--no-tracking") for out in ("one", "two")]
    for process in processes:
        assert process.wait(600) == 0, here.told[-3000:]
    require_one_seg_each(orthanc, films)


def test_orthanc_keeps_the_first_of_two_objects_of_one_identifier(orthanc: Orthanc, tmp_path: Path) -> None:
    (film,) = films_in(tmp_path / "phantom", 1)
    orthanc.send([film])
    ds = pydicom.dcmread(film)
    before = orthanc.file(str(ds.SOPInstanceUID))
    changed = tmp_path / "changed.dcm"
    ds.SeriesDescription = "changed"
    ds.save_as(changed)
    archive = open_archive(orthanc.address)
    stored = store(archive, changed, str(ds.StudyInstanceUID))
    assert len(orthanc.find(Modality="DX")) == 1
    assert orthanc.file(stored.instance) == before
    assert b"changed" not in before
    archive.close()


def test_an_archive_asks_who_one_is(
    guarded_orthanc: Orthanc, here: Shell, random_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orthanc = guarded_orthanc
    films = films_in(tmp_path / "phantom", 2)
    orthanc.send(films)
    ((user, password),) = orthanc.users.items()
    arguments = ("infer", random_bundle.root, "--from", orthanc.address, *QUERY, "-o", "out")
    refused = here.planar(*arguments, status=1)
    assert "the archive asks who you are (401)" in refused.stderr
    assert "\n" not in refused.stderr.strip()
    wrong = Shell(here.folder, here.uri, {"PLANAR_DICOMWEB_USER": user, "PLANAR_DICOMWEB_PASSWORD": "wr0ng"})
    told = wrong.planar(*arguments, status=1)
    assert "does not know the user of PLANAR_DICOMWEB_USER (401)" in told.stderr
    assert "wr0ng" not in told.stderr
    right = Shell(here.folder, here.uri, {"PLANAR_DICOMWEB_USER": user, "PLANAR_DICOMWEB_PASSWORD": password})
    done = right.planar(*arguments)
    require_one_seg_each(orthanc, films)
    assert password not in done.stdout + done.stderr
    # Nowhere in what was written, the record included.
    for path in here.folder.rglob("*"):
        if path.is_file() and not path.is_relative_to(orthanc.folder):
            assert password.encode() not in path.read_bytes(), path


def test_a_film_without_a_modality_and_one_in_jpeg_2000_are_segmented(
    orthanc: Orthanc, here: Shell, random_bundle: Bundle, tmp_path: Path
) -> None:
    films = films_in(tmp_path / "phantom", 4)
    without, compressed = (pydicom.dcmread(film) for film in films[:2])
    del without.Modality
    without.save_as(films[0])
    compressed.compress(JPEG2000Lossless, generate_instance_uid=False)
    compressed.save_as(films[1])
    orthanc.send(films[:2])
    studies = {str(ds.StudyInstanceUID) for ds in (without, compressed)}
    options = [word for study in sorted(studies) for word in ("--study", study)]
    here.planar("infer", random_bundle.root, "--from", orthanc.address, *options, "-o", "out")
    require_one_seg_each(orthanc, films[:2])
    archive = open_archive(orthanc.address)
    for series in find_series(archive, Query.parse("Modality=SEG")):
        assert series.study in studies
    archive.close()


@pytest.mark.real_data
def test_a_real_ct_gets_a_seg_of_all_its_slices(
    orthanc: Orthanc, here: Shell, random_bundle: Bundle, planar_data: Path, tmp_path: Path
) -> None:
    files = []
    for file in sorted((planar_data / "ct_series" / "dicom").iterdir()):
        ds = pydicom.dcmread(file)
        # Whoever made the set anonymous took these away, and no archive takes an object without them.
        ds.SOPClassUID, ds.SOPInstanceUID = (
            ds.file_meta.MediaStorageSOPClassUID,
            ds.file_meta.MediaStorageSOPInstanceUID,
        )
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.PatientID = "2.25.1", "2.25.2", "ANONYMOUS"
        files.append(tmp_path / f"{file.name}.dcm")
        ds.save_as(files[-1])
    orthanc.send(files)
    done = here.planar("infer", random_bundle.root, "--from", orthanc.address, "--query", "Modality=CT", "-o", "out")
    assert f"1 image segmented ({len(files)} slices), 1 file of masks" in done.stdout
    (found,) = orthanc.find(Modality="SEG")
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    assert found["StudyInstanceUID"] == headers[0].StudyInstanceUID
    path = tmp_path / "seg.dcm"
    path.write_bytes(orthanc.file(found["SOPInstanceUID"]))
    seg = hd.seg.segread(path)
    referred = {str(uid) for _, _, uid in seg.get_source_image_uids()}
    assert referred == {str(ds.SOPInstanceUID) for ds in headers}


def test_images_and_masks_of_an_archive_become_a_datalist(orthanc: Orthanc, here: Shell, tmp_path: Path) -> None:
    films = films_in(tmp_path / "phantom", 8)
    orthanc.send(films)
    archive = open_archive(orthanc.address)
    for number, film in enumerate(films):
        images = source_images(str(film))
        mask = np.zeros(images.grid.display_shape, np.uint8)
        mask[10 : 40 + number, 12:50] = 1
        path = tmp_path / "seg.dcm"
        terms = read_terms({0: "background", 1: "lung"})
        write_seg(path, images, mask, terms, Algorithm("by hand", "1", ("0" * 64,)))
        seg = pydicom.dcmread(path)
        seg.Manufacturer = "Others"
        seg.save_as(path)
        stored = store(archive, path, str(seg.StudyInstanceUID))
        assert present(archive, stored.study, stored.series, [stored.instance]) == {stored.instance}
    archive.close()
    done = here.planar(
        *("index", "--from", orthanc.address, *QUERY, "--download", "set", "--split", "0.5,0.25,0.25"),
        *("--folds", "2", "-o", "datalist.json"),
    )
    assert "8 cases" in done.stdout
    assert "segments by their labels" in done.stdout


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], shell: Shell) -> None:
    """Wait for something that a command in the background brings about."""
    end = time.monotonic() + 600
    while not condition():
        assert process.poll() is None and time.monotonic() < end, shell.told[-3000:]
        time.sleep(0.05)
