"""The way to the archive: storing from a page with the server's credentials, and an archive that says nothing."""

from __future__ import annotations

import socket
from pathlib import Path

import pydicom
import pytest
import requests

from benchmarks.label_server import LabelServer
from benchmarks.orthanc import Orthanc, why_no_orthanc

pytestmark = [pytest.mark.label, pytest.mark.timeout(900)]

BUNDLE = "cxr_lung_segmentation"
BOUNDARY = "part"
KIND = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


def in_parts(content: bytes) -> bytes:
    """As OHIF's study list sends a file."""
    head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n"
    return head.encode() + content + f"\r\n--{BOUNDARY}--".encode()


def test_a_page_stores_in_an_archive_that_asks_for_a_password(films: Path, tmp_path: Path) -> None:
    if reason := why_no_orthanc():
        pytest.skip(reason)
    orthanc = Orthanc(tmp_path / "orthanc", {"reader": "secret"})
    settings = {"PLANAR_DICOMWEB_USER": "reader", "PLANAR_DICOMWEB_PASSWORD": "secret"}
    server = LabelServer(tmp_path / "server", ["--studies", orthanc.address, "--bundle", BUNDLE], settings)
    film = films / "film_MONOCHROME2.dcm"
    try:
        orthanc.start()
        server.start()
        upload = f"{server.uri}/proxy/dicom/wado/studies"
        answer = requests.post(upload, data=in_parts(film.read_bytes()), headers={"Content-Type": KIND}, timeout=60)
        assert answer.status_code == 200, answer.text
        ds = pydicom.dcmread(film, stop_before_pixels=True)
        assert [one["SOPInstanceUID"] for one in orthanc.find()] == [str(ds.SOPInstanceUID)]
        assert pydicom.dcmread(film).PixelData in orthanc.file(str(ds.SOPInstanceUID))
        # No other way past the credentials, which MONAI Label's own proxy would try.
        for path in ("dicom/wado/system", "dicom/system", "dicom/wado/studies/../instances"):
            assert requests.post(f"{server.uri}/proxy/{path}", data=b"", timeout=60).status_code == 404
        assert requests.get(f"{server.uri}/proxy/dicom/statistics", timeout=60).status_code == 404
        assert (
            requests.post(upload, data=b"{}", headers={"Content-Type": "application/json"}, timeout=60).status_code
            == 404
        )
    finally:
        server.stop()
        orthanc.stop()


def test_an_archive_that_takes_connections_and_says_nothing_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the system takes connections, and nobody answers them
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/dicom-web"
        server = LabelServer(tmp_path, ["--studies", address, "--bundle", BUNDLE])
        try:
            server.start()
            # Each answers before the limit of a search, half a minute, of which these clients have a third.
            health = requests.get(f"{server.uri}/health", timeout=10)
            listed = requests.get(f"{server.uri}/datastore/", params={"output": "all"}, timeout=10)
            inferred = requests.post(f"{server.uri}/infer/{BUNDLE}", params={"image": "1.2.3"}, timeout=10)
        finally:
            server.stop()
    assert [health.status_code, listed.status_code, inferred.status_code] == [503, 503, 503]
    assert health.json()["reason"] == f"dicomweb{address[4:]}: it cannot be asked: no answer came in time."
    assert listed.json()["detail"] == health.json()["reason"]
