"""OHIF's pages in a headless Chromium: the panel of MONAI Label on a series, and films, which OHIF cannot overlay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from chromium import Chromium, find_chromium
from ohif_pages import connect, open_study, segment, shown_labels

from benchmarks.label_server import LabelServer
from benchmarks.orthanc import Orthanc, why_no_orthanc
from pipeline.phantom import ct_series, thorax
from pipeline.phantom.dicom import ct_slices_bytes

pytestmark = [pytest.mark.label, pytest.mark.timeout(900)]

BUNDLE = "cxr_lung_segmentation"
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# Odd numbers of pixels and slices: OHIF reads a compressed answer only where the number of voxels is even.
SIZE, SLICES = 63, 5


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    if find_chromium() is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with Chromium(1400, 900, webgl=True) as running:
        yield running


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    if reason := why_no_orthanc():
        pytest.skip(reason)
    archive = Orthanc(tmp_path_factory.mktemp("ohif"))
    try:
        archive.start()
        yield archive
    finally:
        archive.stop()


def test_the_panel_shows_the_mask_of_infer_on_the_same_voxels(
    browser: Chromium, orthanc: Orthanc, films: Path, tmp_path: Path
) -> None:
    from pipeline.tasks.infer import infer

    folder = tmp_path / "ct"
    folder.mkdir()
    series = ct_series(thorax(3), seed=3, size=SIZE, slices=SLICES)
    for number, content in enumerate(ct_slices_bytes(series, subject="PHANTOM-3", origin="ohif")):
        (folder / f"{number}.dcm").write_bytes(content)
    orthanc.send(sorted(folder.iterdir()))
    first = pydicom.dcmread(folder / "0.dcm", stop_before_pixels=True)
    expected = nib.load(infer(BUNDLE, [str(folder)], tmp_path / "out", gate=False).masks[0])
    server = LabelServer(tmp_path / "server", ["--studies", orthanc.address, "--bundle", BUNDLE])
    try:
        server.start()
        open_study(browser, server.uri, str(first.StudyInstanceUID), "Server:", f"/{SLICES})")
        connect(browser)
        segment(browser, BUNDLE)
        shown, affine = shown_labels(browser)
    finally:
        server.stop()
    mask = np.asarray(expected.dataobj)
    assert mask.any()
    to_mask = np.linalg.inv(expected.affine) @ LPS_TO_RAS @ affine
    places = np.argwhere(np.ones(shown.shape, bool))
    inside = places @ to_mask[:3, :3].T + to_mask[:3, 3]
    assert np.abs(inside - inside.round()).max() < 0.01
    np.testing.assert_array_equal(shown[tuple(places.T)], mask[tuple(inside.round().astype(int).T)])
