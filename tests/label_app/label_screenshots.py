"""The pictures in docs/images of OHIF and of our own pages: make label-screenshots CT=BUNDLE

Puts the CT series and an X-ray of PLANAR_DATA into an Orthanc, starts the labelling server on it, runs the
segmentation of the CT from OHIF's panel, has the X-ray's mask stored as a DICOM segmentation, and takes a picture of
each page. Look at them: a mask that is mirrored, shifted or on the wrong slice is seen there first.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import pydicom

# As pytest does for tests.
sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from chromium import Chromium
from ohif_pages import connect, open_study, segment

from benchmarks.label_server import LabelServer
from benchmarks.orthanc import Orthanc, why_no_orthanc
from pipeline.bundle import find_bundle
from pipeline.tasks.infer import infer

CHEST = "cxr_lung_segmentation"
SERIES = Path("ct_series/dicom")
# A thorax in posterior-anterior view; whoever it is has no name in it.
FILM = Path("dicom/dicom-test-files/data/WG04/J2KI/RG1_J2KI")
STUDY = "2.25.1"
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


def fill(archive: Orthanc, data: Path, folder: Path) -> tuple[Path, Path]:
    """Store the series and the film; where they are then.

    Whoever took the names out of the series took its identifiers too, without which no archive takes it.
    """
    (folder / "series").mkdir(parents=True)
    for number, file in enumerate(sorted((data / SERIES).iterdir())):
        ds = pydicom.dcmread(file)
        ds.SOPClassUID, ds.SOPInstanceUID = (
            ds.file_meta.MediaStorageSOPClassUID,
            ds.file_meta.MediaStorageSOPInstanceUID,
        )
        ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, "2.25.2"
        ds.PatientID, ds.PatientName = "CT", "CT"
        ds.save_as(folder / "series" / f"{number}.dcm")
    film = folder / "film.dcm"
    ds = pydicom.dcmread(data / FILM)
    ds.PatientID, ds.PatientName = "X-ray", "X-ray"
    ds.save_as(film)
    for path in (*(folder / "series").iterdir(), film):
        archive.post("/instances", path.read_bytes())
    return folder / "series", film


def take(server: LabelServer, film: Path, ct_bundle: str, slice_number: int, out: Path) -> None:
    """Take the pictures."""
    header = pydicom.dcmread(film, stop_before_pixels=True)
    with Chromium(1280, 800, webgl=True) as browser:
        browser.open(f"{server.uri}/ohif/", "Study List", "X-ray")
        browser.evaluate("[...document.querySelectorAll('button')].find(e => e.innerText.includes('Confirm'))?.click()")
        time.sleep(1)
        browser.picture(out / "label_ohif_list.png")
        open_study(browser, server.uri, STUDY, "Server:", "CT Body")
        connect(browser)
        segment(browser, ct_bundle)
        browser.evaluate(LUNG_WINDOW)
        browser.evaluate(f"{TO_SLICE}({slice_number})")
        time.sleep(8)  # until the notices are gone
        browser.picture(out / "label_ohif_ct.png")
        browser.size(1100, 1000)
        browser.open(f"{server.uri}/look/{header.SeriesInstanceUID}", "stored as DICOM SEG")
        browser.picture(out / "label_film_stored.png")
        browser.open(f"{server.uri}/look/{header.SeriesInstanceUID}?show={CHEST}", "Gate:")
        browser.picture(out / "label_film_model.png")


def main() -> None:
    """Fill an archive, start the server and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ct", required=True, help="bundle for lungs on CT slices, name or path")
    parser.add_argument("--slice", type=int, default=17, help="slice of the series that is shown, from 0")
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
            _, film = fill(archive, data, folder / "dicom")
            result = infer(CHEST, [str(film)], folder / "masks", formats=("dicomseg",))
            archive.post("/instances", result.masks[0].read_bytes())
            server.start()
            take(server, film, ct.name, options.slice, options.out)
        finally:
            server.stop()
            archive.stop()


if __name__ == "__main__":
    main()
