"""A real Orthanc with DICOMweb in a folder of its own, and DCMTK's tools to fill it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pydicom

__all__ = ["Orthanc", "find_orthanc", "free_port", "why_no_orthanc"]

PROGRAMS = ("/usr/sbin/Orthanc", "/usr/local/bin/Orthanc")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
CALLER = "PLANAR"
# What storescu must propose for a transfer syntax; the rest is uncompressed.
PROPOSE = {
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}


def find_orthanc() -> str | None:
    """The program, which Debian keeps off a user's PATH."""
    return shutil.which("Orthanc") or next((path for path in PROGRAMS if Path(path).is_file()), None)


def why_no_orthanc() -> str | None:
    """Why no archive can be had here, in one line; None if one can."""
    if find_orthanc() is None:
        return "Orthanc is not installed: make test-services"
    if not PLUGIN.is_file():
        return "Orthanc has no DICOMweb (orthanc-dicomweb is not installed): make test-services"
    if shutil.which("storescu") is None:
        return "DCMTK's storescu is not installed: make test-services"
    return None


class Orthanc:
    """An archive on free ports; `stop` ends it, and what it holds lies in its folder until the next `start`.

    Orthanc before 1.12.10 listens on all interfaces: it answers requests of this machine alone, and takes images from
    this machine's caller alone.

    Args:
        folder: Of its images, index and log.
        users: Names and passwords; with them it asks who one is.
    """

    def __init__(self, folder: Path, users: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.http, self.dicom = free_port(), free_port()
        self._users = dict(users or {})
        self._process: subprocess.Popen[bytes] | None = None
        config = {
            "Name": "Planar",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "HttpPort": self.http,
            "HttpBindAddresses": ["127.0.0.1"],
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": bool(users),
            "RegisteredUsers": self._users,
            "DicomAet": "ORTHANC",
            "DicomPort": self.dicom,
            "DicomAlwaysAllowEcho": False,
            "DicomAlwaysAllowStore": False,
            "DicomCheckModalityHost": True,
            "DicomModalities": {"planar": [CALLER, "127.0.0.1", 11112]},
            # Its plug-in for GDCM has ended the process more than once.
            "Plugins": [str(PLUGIN)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        self._config = folder / "orthanc.json"
        self._config.write_text(json.dumps(config))
        self._config.chmod(0o600)

    @property
    def address(self) -> str:
        """As a user writes it."""
        return f"dicomweb://127.0.0.1:{self.http}/dicom-web"

    @property
    def pid(self) -> int:
        """Its process, while it runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def users(self) -> dict[str, str]:
        """Who may use it, with their passwords; empty for everybody."""
        return dict(self._users)

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "orthanc.log"

    def start(self) -> None:
        """Start it and wait until it answers."""
        program = find_orthanc()
        assert program is not None, why_no_orthanc()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, str(self._config)], cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            try:
                self.get("/system")
                return
            except OSError:
                time.sleep(0.1)
        self.stop()
        raise RuntimeError(self.log.read_text(errors="replace")[-2000:])

    def stop(self) -> None:
        """End it as a crash would."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._process = None

    def send(self, files: Iterable[Path]) -> None:
        """Store files with DCMTK's storescu, in the transfer syntaxes that they have."""
        by_syntax: dict[str, list[str]] = {}
        for file in files:
            syntax = str(pydicom.dcmread(file, stop_before_pixels=True).file_meta.TransferSyntaxUID)
            by_syntax.setdefault(PROPOSE.get(syntax, "-xe"), []).append(str(file))
        for option, names in by_syntax.items():
            command = ["storescu", option, "-aet", CALLER, "-aec", "ORTHANC", "127.0.0.1", str(self.dicom), *names]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "TZ": "UTC"})
            assert done.returncode == 0, done.stdout + done.stderr

    def find(self, **keys: str) -> list[dict[str, str]]:
        """Instances by the archive's own search, with the values that it has of them."""
        from pydicom.datadict import keyword_for_tag

        query = "&".join(f"{name}={value}" for name, value in keys.items())
        found = json.loads(self.get(f"/dicom-web/instances?{query}&includefield=all") or "[]")
        return [
            {keyword_for_tag(tag): str(element["Value"][0]) for tag, element in item.items() if element.get("Value")}
            for item in found
        ]

    def file(self, instance: str) -> bytes:
        """An object as it lies in the archive, by its SOPInstanceUID."""
        (number,) = json.loads(self.post("/tools/lookup", instance.encode()))
        return self.get(f"/instances/{number['ID']}/file")

    def get(self, path: str) -> bytes:
        """What its own interface answers."""
        return self._asked(urllib.request.Request(f"http://127.0.0.1:{self.http}{path}"))

    def post(self, path: str, content: bytes) -> bytes:
        """The same, of something that is sent."""
        return self._asked(urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data=content))

    def _asked(self, request: Any) -> bytes:
        import base64

        for user, password in self._users.items():
            request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{request.full_url}: {error.code} {error.read()[:500]!r}") from error


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
