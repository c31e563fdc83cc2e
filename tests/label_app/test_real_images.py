"""Real films and a real series, from a folder and from Orthanc: the masks of `planar infer`, upright, in their size."""

from __future__ import annotations

import shutil
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

pytestmark = [pytest.mark.label, pytest.mark.real_data, pytest.mark.timeout(1800)]

BUNDLE = "cxr_lung_segmentation"
WG04 = Path("dicom/dicom-test-files/data/WG04")
# RG films: zero pixel spacing, stored inverted; a DX of an animal, whose mask nobody needs but whose grid counts.
DICOM_FILMS = (WG04 / "J2KI/RG1_J2KI", WG04 / "RLE/RG2_RLE", Path("dicom/highdicom/data/test_files/dx_image.dcm"))
PICTURES = 6


@pytest.fixture(scope="module")
def images(planar_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures with a reference mask, DICOM films, and the CT series in its own syntax, JPEG 2000."""
    folder = tmp_path_factory.mktemp("real")
    for picture in sorted((planar_data / "cxr_multisite" / "images").iterdir())[:PICTURES]:
        shutil.copy(picture, folder)
    for film in DICOM_FILMS:
        shutil.copy(planar_data / film, folder / f"{film.name.split('.')[0]}.dcm")
    (folder / "series").mkdir()
    for number, file in enumerate(sorted((planar_data / "ct_series" / "dicom").iterdir())):
        ds = pydicom.dcmread(file)
        # Whoever made the set anonymous took these away, and no archive takes an object without them.
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.PatientID = "2.25.1", "2.25.2", "ANONYMOUS"
        ds.save_as(folder / "series" / f"{number}.dcm")
    return folder


@pytest.fixture(scope="module")
def expected(images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What `planar infer` writes, by image."""
    from pipeline.tasks.infer import infer

    result = infer(BUNDLE, [str(images)], tmp_path_factory.mktemp("expected"), gate=False)
    assert result.refused == ()
    return {path.name.split("_mask.")[0]: stored(path) for path in result.masks}


@pytest.fixture(scope="module")
def server(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    running = LabelServer(tmp_path_factory.mktemp("server"), ["--studies", images, "--bundle", BUNDLE])
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="module")
def orthanc(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    if reason := why_no_orthanc():
        pytest.skip(reason)
    archive = Orthanc(tmp_path_factory.mktemp("orthanc"))
    try:
        archive.start()
        for path in (*images.glob("*.dcm"), *(images / "series").iterdir()):
            archive.post("/instances", path.read_bytes())
        yield archive
    finally:
        archive.stop()


def stored(path: str | Path) -> np.ndarray:
    if str(path).endswith(".png"):
        return np.asarray(Image.open(path))
    return np.asarray(nib.load(path).dataobj)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def test_from_a_folder(server: LabelServer, expected: dict[str, np.ndarray]) -> None:
    assert set(server.client.datastore()["objects"]) == set(expected)
    for image, mask in expected.items():
        file, _ = server.client.infer(BUNDLE, image, {})
        np.testing.assert_array_equal(stored(file), mask, err_msg=image)


def test_every_film_has_a_segmentation_in_dicom(server: LabelServer, images: Path, tmp_path: Path) -> None:
    """RG1 was compressed with losses and does not say how, at which highdicom stops."""
    for path in images.glob("*.dcm"):
        params = {"image": path.stem, "output": "dicom_seg"}
        answer = requests.post(f"{server.uri}/infer/{BUNDLE}", params=params, timeout=300)
        assert answer.status_code == 200, answer.text
        (tmp_path / "seg.dcm").write_bytes(answer.content)
        film = pydicom.dcmread(path, stop_before_pixels=True)
        mask = read_picture(f"{tmp_path / 'seg.dcm'}#instance={film.SOPInstanceUID}", labels=True).array
        file, _ = server.client.infer(BUNDLE, path.stem, {})
        np.testing.assert_array_equal(mask, read_picture(file, labels=True).array, err_msg=path.stem)
        seg = pydicom.dcmread(tmp_path / "seg.dcm", stop_before_pixels=True)
        assert all(
            seg.get(name) for name in ("LossyImageCompressionRatio", "LossyImageCompressionMethod") if name in seg
        )


def test_upright_and_not_mirrored(server: LabelServer, planar_data: Path) -> None:
    better = 0
    for picture in sorted((planar_data / "cxr_multisite" / "images").iterdir())[:PICTURES]:
        (reference,) = (planar_data / "cxr_multisite" / "lung_field").glob(f"{picture.stem}.*")
        wanted = read_picture(reference, labels=True).array > 0
        file, _ = server.client.infer(BUNDLE, picture.stem, {})
        mask = read_picture(file, labels=True).array > 0
        assert mask.shape == wanted.shape
        right = dice(mask, wanted)
        assert right > dice(mask[:, ::-1], wanted)
        better += right > dice(mask[::-1], wanted)
    assert better > PICTURES / 2  # lungs are nearly their own mirror image


@pytest.mark.parametrize("as_nifti", ["true", "false"])
def test_from_an_archive(
    orthanc: Orthanc, images: Path, expected: dict[str, np.ndarray], tmp_path: Path, as_nifti: str
) -> None:
    settings = {"MONAI_LABEL_DICOMWEB_CONVERT_TO_NIFTI": as_nifti}
    running = LabelServer(tmp_path, ["--studies", orthanc.address, "--bundle", BUNDLE], settings)
    try:
        client = running.start().client
        for image, path in [
            *((p.stem, p) for p in images.glob("*.dcm")),
            ("series", next((images / "series").iterdir())),
        ]:
            series = str(pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID)
            file, _ = client.infer(BUNDLE, series, {})
            np.testing.assert_array_equal(stored(file), expected[image], err_msg=image)
    finally:
        running.stop()


def test_fact_7_orthanc_decompresses_no_jpeg_2000_and_is_not_asked_to(orthanc: Orthanc, images: Path) -> None:
    from monailabel.datastore.dicom import DICOMwebClientX

    ds = pydicom.dcmread(next((images / "series").iterdir()), stop_before_pixels=True)
    stock = DICOMwebClientX(url=orthanc.address.replace("dicomweb://", "http://"))
    with pytest.raises(requests.HTTPError, match="500"):
        stock.retrieve_series(ds.StudyInstanceUID, ds.SeriesInstanceUID)
