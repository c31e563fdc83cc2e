"""Films and series of a real archive: the masks of `planar infer`, labels as segmentations beside the images."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import requests
from PIL import Image

from benchmarks.label_server import LabelServer
from benchmarks.orthanc import Orthanc, why_no_orthanc
from pipeline.readers import read_picture

pytestmark = [pytest.mark.label, pytest.mark.timeout(900)]

BUNDLE = "cxr_lung_segmentation"


def uid(path: Path, keyword: str = "SeriesInstanceUID") -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True)[keyword].value)


@pytest.fixture(scope="module")
def sources(films: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Films and a series by SeriesInstanceUID; one film says no modality, of one study of two series."""
    folder = tmp_path_factory.mktemp("dicom")
    found = {}
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        path = folder / f"{photometric}.dcm"
        shutil.copyfile(films / f"film_{photometric}.dcm", path)
        found[uid(path)] = path
    ds = pydicom.dcmread(films / "film_MONOCHROME2.dcm")
    ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.StudyInstanceUID = ("1.2.826.0.1.3680043.8.498.77" + e for e in "123")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    del ds.Modality
    ds.save_as(folder / "unsaid.dcm")
    found[ds.SeriesInstanceUID] = folder / "unsaid.dcm"
    shutil.copytree(films / "ct", folder / "ct")
    found[uid(next((folder / "ct").iterdir()))] = folder / "ct"
    return found


@pytest.fixture(scope="module")
def orthanc(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    if reason := why_no_orthanc():
        pytest.skip(reason)
    archive = Orthanc(tmp_path_factory.mktemp("orthanc"))
    try:
        archive.start()
        for path in sources.values():
            archive.send(path.iterdir() if path.is_dir() else [path])
        yield archive
    finally:
        archive.stop()


@pytest.fixture(scope="module", params=["true", "false"], ids=["as NIfTI", "as DICOM"])
def server(
    request: pytest.FixtureRequest, orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabelServer]:
    settings = {"MONAI_LABEL_DICOMWEB_CONVERT_TO_NIFTI": request.param}
    folder = tmp_path_factory.mktemp("archive_server")
    running = LabelServer(folder, ["--studies", orthanc.address, "--bundle", BUNDLE], settings)
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="module")
def expected(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What `planar infer` finds, by series."""
    from pipeline.tasks.infer import infer

    out = tmp_path_factory.mktemp("expected")
    masks = {}
    for number, (series, path) in enumerate(sources.items()):
        result = infer(BUNDLE, [str(path)], out / str(number), gate=False)
        masks[series] = stored(result.masks[0])
    return masks


def segmentations(orthanc: Orthanc) -> list[bytes]:
    return [orthanc.file(one["SOPInstanceUID"]) for one in orthanc.find(Modality="SEG")]


def stored(path: str | Path) -> np.ndarray:
    if str(path).endswith(".png"):
        return np.asarray(Image.open(path))
    return np.asarray(nib.load(path).dataobj)


def test_every_series_is_offered_and_gets_the_mask_of_infer(
    server: LabelServer, expected: dict[str, np.ndarray]
) -> None:
    assert set(server.client.datastore()["objects"]) == set(expected)
    for series, mask in expected.items():
        file, _ = server.client.infer(BUNDLE, series, {})
        assert file.endswith((".png", ".nii.gz"))
        np.testing.assert_array_equal(stored(file), mask, err_msg=series)


def test_labels_are_stored_once_refer_to_the_image_and_the_newest_counts(
    server: LabelServer, orthanc: Orthanc, sources: dict[str, Path], tmp_path: Path
) -> None:
    client = server.client
    for series, source in sources.items():
        before = len(segmentations(orthanc))
        file, _ = client.infer(BUNDLE, series, {})
        first = stored(file).copy()
        names = {"label_info": [{"name": "lung", "idx": 1}]}
        for _ in range(2):  # a client that got no answer sends again
            client.save_label(series, file, params=names)
        assert len(segmentations(orthanc)) == before + 1
        drawn = read_picture(file, labels=True)
        corrected = drawn.array.copy()
        corrected[:9, :7] = 1
        write(corrected, drawn, tmp_path / "corrected")
        client.save_label(series, str(next(tmp_path.glob("corrected.*"))), params=names)
        next(tmp_path.glob("corrected.*")).unlink()
        assert len(segmentations(orthanc)) == before + 2
        known = {uid(path, "SOPInstanceUID") for path in (source.iterdir() if source.is_dir() else [source])}
        made = [pydicom.dcmread(io.BytesIO(content)) for content in segmentations(orthanc)]
        own = [seg for seg in made if seg.ReferencedSeriesSequence[0].SeriesInstanceUID == series]
        newest = max(own, key=lambda seg: (seg.ContentDate, seg.ContentTime))
        for seg in own:
            said = {
                str(one.ReferencedSOPInstanceUID)
                for item in seg.ReferencedSeriesSequence
                for one in item.ReferencedInstanceSequence
            }
            assert said <= known and said
            assert [one.SegmentAlgorithmType for one in seg.SegmentSequence] == ["MANUAL"]
        assert int(newest.pixel_array.sum()) == int(corrected.astype(bool).sum()) != int(first.astype(bool).sum())
        assert client.datastore()["objects"][series]["labels"]["final"]


def write(mask: np.ndarray, picture, path: Path) -> None:
    from pipeline.readers import write_mask

    write_mask(mask, picture, path.with_suffix(".png") if mask.ndim == 2 else Path(f"{path}.nii.gz"))


def test_what_was_labelled_is_not_offered_again(server: LabelServer) -> None:
    """After the test before every series has a label; nothing is left for hours in a list."""
    assert server.client.next_sample("random", {}) == {}


def test_another_server_finds_the_newest_labels_in_the_archive(
    server: LabelServer, orthanc: Orthanc, tmp_path: Path
) -> None:
    objects = server.client.datastore()["objects"]
    other = LabelServer(tmp_path, ["--studies", orthanc.address, "--bundle", BUNDLE])
    try:
        client = other.start().client
        assert client.info()["datastore"]["completed"] == len(objects)
        for series in objects:
            here, there = (stored(one.download_label(series, "final")) for one in (server.client, client))
            np.testing.assert_array_equal(here, there)
    finally:
        other.stop()


def test_filters_take_several_modalities_as_people_write_them(orthanc: Orthanc, tmp_path: Path) -> None:
    for number, written in enumerate(('{"Modality": "CR,DX"}', '{"Modality": "CR\\\\DX"}')):
        settings = {"MONAI_LABEL_DICOMWEB_SEARCH_FILTER": written}
        folder = tmp_path / str(number)
        running = LabelServer(folder, ["--studies", orthanc.address, "--bundle", BUNDLE], settings)
        try:
            assert len(running.start().client.datastore()["objects"]) == 2
        finally:
            running.stop()


def test_fact_13_ohifs_list_has_a_modality_for_every_study(sources: dict[str, Path], tmp_path: Path) -> None:
    if reason := why_no_orthanc():
        pytest.skip(reason)
    orthanc = Orthanc(tmp_path / "orthanc")  # where nobody has stored labels, which have a modality
    try:
        orthanc.start()
        orthanc.send(path for path in sources.values() if path.is_file())
        server = LabelServer(tmp_path / "server", ["--studies", orthanc.address, "--bundle", BUNDLE])
        try:
            server.start()
            raw = json.loads(orthanc.get("/dicom-web/studies"))
            assert [bool(study.get("00080061", {}).get("Value")) for study in raw].count(False) == 1
            studies = requests.get(f"{server.uri}/proxy/dicom/qido/studies", params={"limit": 50}, timeout=30).json()
            assert len(studies) == len(raw)
            assert all(study["00080061"]["Value"] for study in studies)
            # As no client of good manners sends it.
            host = server.uri.removeprefix("http://").partition("/")[0]
            with contextlib.closing(http.client.HTTPConnection(host, timeout=30)) as connection:
                connection.request("GET", "/proxy/dicom/qido/../instances")
                with connection.getresponse() as answer:
                    assert answer.status in (400, 404)
        finally:
            server.stop()
    finally:
        orthanc.stop()


def test_an_archive_that_is_away_is_told_at_once_and_found_again(
    orthanc: Orthanc, sources: dict[str, Path], tmp_path: Path
) -> None:
    server = LabelServer(tmp_path, ["--studies", orthanc.address, "--bundle", BUNDLE])
    orthanc.stop()
    try:
        server.start()
        began = time.monotonic()
        answers = [
            requests.get(f"{server.uri}/health", timeout=60),
            requests.get(f"{server.uri}/datastore/?output=all", timeout=60),
            requests.post(f"{server.uri}/infer/{BUNDLE}", params={"image": next(iter(sources))}, timeout=60),
        ]
        assert [answer.status_code for answer in answers] == [503, 503, 503]
        assert time.monotonic() - began < 20
        assert "nothing listens there" in answers[1].json()["detail"]
        orthanc.start()
        time.sleep(1.5)
        assert requests.get(f"{server.uri}/health", timeout=60).status_code == 200
        assert len(server.client.datastore()["objects"]) == len(sources)
    finally:
        server.stop(signal.SIGKILL)
        if orthanc._process is None:
            orthanc.start()
