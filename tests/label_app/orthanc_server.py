"""Orthanc with DICOMweb on the loopback interface."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import requests
from mlflow_server import free_port

__all__ = ["Orthanc", "why_not"]

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def why_not() -> str | None:
    """Why it cannot be started, or None."""
    if shutil.which("Orthanc") is None or not PLUGIN.is_file():
        return "Orthanc with DICOMweb is not installed: apt-get install orthanc orthanc-dicomweb"
    return None


class Orthanc:
    """An archive of the tests' own.

    Args:
        folder: Of its storage and log.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.dicomweb = f"{self.uri}/dicom-web"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Orthanc:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = {
            "Name": "planar-tests",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "HttpPort": self.port,
            "HttpBindAddresses": ["127.0.0.1"],
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomServerEnabled": False,
            "Plugins": [str(PLUGIN)],
        }
        (self.folder / "orthanc.json").write_text(json.dumps(config))
        with (self.folder / "orthanc.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["Orthanc", str(self.folder / "orthanc.json")], cwd=self.folder, stdout=log, stderr=log
            )
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if requests.get(f"{self.dicomweb}/studies?limit=1", timeout=5).status_code == 200:
                    return self
            except requests.RequestException:
                time.sleep(0.2)
        self.stop()
        raise RuntimeError((self.folder / "orthanc.log").read_text()[-2000:])

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)
        self._process = None

    def put(self, *files: Path) -> None:
        """Give it files."""
        for file in files:
            requests.post(f"{self.uri}/instances", data=file.read_bytes(), timeout=60).raise_for_status()

    def segmentations(self) -> list[bytes]:
        """Its DICOM segmentations."""
        found = requests.post(
            f"{self.uri}/tools/find", json={"Level": "Instance", "Query": {"Modality": "SEG"}}, timeout=60
        ).json()
        return [requests.get(f"{self.uri}/instances/{one}/file", timeout=60).content for one in found]
