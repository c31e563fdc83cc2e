"""The pictures in docs/images of OHIF and of our own pages: make label-screenshots CT=BUNDLE

Puts a chest CT and an X-ray of PLANAR_DATA into an Orthanc, starts the labelling server on it, runs the
segmentation of the CT from OHIF's panel, has the X-ray's mask stored as a DICOM segmentation, and takes a picture of
each page. Look at them: a mask that is mirrored, shifted or on the wrong slice is seen there first.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

# As pytest does for tests.
sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from chromium import Chromium
from ohif_pages import connect, open_study, segment

from benchmarks.label_server import LabelServer
from benchmarks.orthanc import Orthanc, why_no_orthanc
from pipeline.bundle import find_bundle
from pipeline.phantom.dicom import ct_slices_bytes
from pipeline.phantom.slices import CtSeries
from pipeline.tasks.infer import infer

CHEST = "cxr_lung_segmentation"
CT = Path("ct_series/nifti/example_ct_sm.nii.gz")
# A thorax in posterior-anterior view; whoever it is has no name in it.
FILM = Path("dicom/dicom-test-files/data/WG04/J2KI/RG1_J2KI")
# Air and lung apart from the rest; OHIF opens a CT in a window for soft tissue, in which lungs are black.
LUNG_WINDOW = """(() => {
  const {cornerstoneViewportService, viewportGridService} = window.services;
  for (const id of viewportGridService.getState().viewports.keys()) {
    const viewport = cornerstoneViewportService.getCornerstoneViewport(id);
    viewport.setProperties({voiRange: {lower: -1350, upper: 150}});
    viewport.render();
  }
})()"""
TO_SLICE = """(number => {
  const {cornerstoneViewportService, viewportGridService} = window.services;
  const id = viewportGridService.getState().activeViewportId;
  cornerstoneViewportService.getCornerstoneViewport(id).setImageIdIndex?.(number);
  window.cornerstone.utilities.jumpToSlice(
    cornerstoneViewportService.getCornerstoneViewport(id).element, {imageIndex: number});
})"""


def fill(archive: Orthanc, data: Path, folder: Path) -> tuple[str, Path]:
    """Store a CT, which the public sets have as NIfTI alone, and a film; the CT's study, and where the film is."""
    folder.mkdir()
    volume = nib.load(data / CT)
    to_lps = ornt_transform(io_orientation(volume.affine), axcodes2ornt(("L", "P", "S")))
    volume = volume.as_reoriented(to_lps)
    hu = np.asarray(volume.dataobj).round().astype(np.int16)
    series = CtSeries(hu, np.zeros(hu.shape, np.uint8), volume.affine, 0.0)
    study = ""
    for content in ct_slices_bytes(series, subject="CT", origin="screenshots"):
        ds = pydicom.dcmread(io.BytesIO(content))
        ds.SeriesDescription, study = "Chest", str(ds.StudyInstanceUID)
        ds.save_as(folder / "slice.dcm")
        archive.post("/instances", (folder / "slice.dcm").read_bytes())
    film = folder / "film.dcm"
    ds = pydicom.dcmread(data / FILM)
    ds.PatientID, ds.PatientName = "X-ray", "X-ray"
    ds.save_as(film)
    archive.post("/instances", film.read_bytes())
    return study, film


def take(server: LabelServer, study: str, film: Path, ct_bundle: str, slice_number: int, out: Path) -> None:
    """Take the pictures."""
    header = pydicom.dcmread(film, stop_before_pixels=True)
    with Chromium(1280, 800, webgl=True) as browser:
        browser.open(f"{server.uri}/ohif/", "Study List", "X-ray")
        browser.evaluate("[...document.querySelectorAll('button')].find(e => e.innerText.includes('Confirm'))?.click()")
        time.sleep(1)
        browser.picture(out / "label_ohif_list.png")
        open_study(browser, server.uri, study, "Server:", "Chest")
        connect(browser)
        segment(browser, ct_bundle)
        browser.evaluate(LUNG_WINDOW)
        browser.evaluate(f"{TO_SLICE}({slice_number})")
        time.sleep(8)  # until the notices are gone
        browser.picture(out / "label_ohif_ct.png")
        browser.size(900, 900)
        browser.open(f"{server.uri}/look/{header.SeriesInstanceUID}", "stored as DICOM SEG")
        browser.picture(out / "label_film_stored.png")
        browser.open(f"{server.uri}/look/{header.SeriesInstanceUID}?show={CHEST}", "Gate:")
        browser.picture(out / "label_film_model.png")


def main() -> None:
    """Fill an archive, start the server and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ct", required=True, help="bundle for lungs on CT slices, name or path")
    parser.add_argument("--slice", type=int, default=1, help="slice that is shown, from the head, 0 the first")
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/images"), help="folder of the pictures")
    options = parser.parse_args()
    if reason := why_no_orthanc():
        sys.exit(reason)
    data = Path(os.environ["PLANAR_DATA"])
    ct = find_bundle(options.ct)
    with tempfile.TemporaryDirectory(prefix="planar-screenshots-") as name:
        folder = Path(name)
        archive = Orthanc(folder / "orthanc")
        arguments = ["--studies", archive.address, "--bundle", CHEST, "--bundle", ct.root]
        server = LabelServer(folder / "server", arguments)
        try:
            archive.start()
            study, film = fill(archive, data, folder / "dicom")
            result = infer(CHEST, [str(film)], folder / "masks", formats=("dicomseg",))
            archive.post("/instances", result.masks[0].read_bytes())
            server.start()
            take(server, study, film, ct.name, options.slice, options.out)
        finally:
            server.stop()
            archive.stop()


if __name__ == "__main__":
    main()
