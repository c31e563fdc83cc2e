"""Pages of ours that show an image with a label over it; films with the segmentations of their archive."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
import requests
from PIL import Image

from benchmarks.label_server import LabelServer
from benchmarks.orthanc import Orthanc, why_no_orthanc
from pipeline.overlays import draw_overlay
from pipeline.readers import read_picture

pytestmark = [pytest.mark.label, pytest.mark.timeout(900)]

BUNDLE = "cxr_lung_segmentation"


def page_of(server: LabelServer, image: str, **wanted: str) -> str:
    answer = requests.get(f"{server.uri}/look/{image}", params=wanted, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.text


def picture_on(page: str) -> np.ndarray:
    """The page's picture, RGB, (W, H, 3)."""
    found = re.search(r'src="data:image/png;base64,([^"]+)"', page)
    assert found is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB")).swapaxes(0, 1)


def assert_shows(page: str, image: Path, mask: np.ndarray) -> None:
    expected = draw_overlay(read_picture(image).array, mask)
    assert (expected != draw_overlay(read_picture(image).array, np.zeros_like(mask))).any()
    np.testing.assert_array_equal(picture_on(page)[:, : expected.shape[1]], expected)


@pytest.fixture(scope="module")
def stored(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Orthanc, Path, str, np.ndarray]]:
    """A film in an archive with what a model found there, its series, and the mask."""
    from pipeline.tasks.infer import infer

    if reason := why_no_orthanc():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("stored")
    film = films / "film_MONOCHROME1.dcm"
    result = infer(BUNDLE, [str(film)], folder / "out", formats=("png", "dicomseg"), gate=False)
    png, seg = sorted(result.masks, key=lambda path: path.suffix == ".dcm")
    archive = Orthanc(folder / "orthanc")
    try:
        archive.start()
        for path in (film, seg):
            archive.post("/instances", path.read_bytes())
        mask = read_picture(png, labels=True).array
        yield archive, film, str(pydicom.dcmread(film, stop_before_pixels=True).SeriesInstanceUID), mask
    finally:
        archive.stop()


def test_the_list_names_each_image(server: LabelServer) -> None:
    page = requests.get(f"{server.uri}/look/", timeout=60).text
    assert all(f'href="{image}"' in page for image in server.client.datastore()["objects"])


def test_a_model_s_mask_is_shown_on_the_image_with_the_verdict_of_the_gate(server: LabelServer, films: Path) -> None:
    page = page_of(server, "film_png", show=BUNDLE)
    file, told = server.client.infer(BUNDLE, "film_png", {})
    assert_shows(page, films / "film_png.png", read_picture(file, labels=True).array)
    quality = told["quality"]
    assert quality["decision"] in ("accept", "review")
    assert f"Gate: <b>{quality['decision']}</b>" in page
    assert f"predicted Dice {quality['predicted_dice']:.3f}" in page


def test_slices_of_a_volume_are_walked_through(server: LabelServer) -> None:
    page = page_of(server, "ct", show=BUNDLE, slice="1")
    assert "Slice 2 of 5" in page and "slice=0" in page and "slice=2" in page


def test_what_there_is_not_is_not_found(server: LabelServer) -> None:
    for path in ("film_png?show=nothing", "no_image", "..%2f..%2fetc%2fpasswd"):
        assert requests.get(f"{server.uri}/look/{path}", timeout=60).status_code == 404


def test_a_film_is_shown_with_its_stored_segmentation_first_a_model_s_then_a_person_s(
    stored: tuple[Orthanc, Path, str, np.ndarray], tmp_path: Path
) -> None:
    archive, film, series, mask = stored
    arguments = ["--studies", archive.address, "--bundle", BUNDLE]
    first = LabelServer(tmp_path / "first", arguments)
    second = LabelServer(tmp_path / "second", arguments)
    try:
        (seg,) = (one["SOPInstanceUID"] for one in archive.find(Modality="SEG"))
        page = page_of(first.start(), series)
        assert_shows(page, film, mask)
        assert f"stored as DICOM SEG {seg}" in page
        drawn = mask.copy()
        drawn[:30, :40] = 1
        Image.fromarray(np.ascontiguousarray(drawn.T)).save(tmp_path / "drawn.png")
        names = {"label_info": [{"name": "lung", "idx": 1}]}
        first.client.save_label(series, str(tmp_path / "drawn.png"), params=names)
        first.stop()
        (other,) = {one["SOPInstanceUID"] for one in archive.find(Modality="SEG")} - {seg}
        page = page_of(second.start(), series)  # which has nothing but what the archive has
        assert_shows(page, film, drawn)
        assert f"DICOM SEG {other}" in page
        assert_shows(page_of(second, series, show="stored"), film, mask)
    finally:
        first.stop()
        second.stop()
