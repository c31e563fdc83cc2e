"""A DICOMweb archive in this process: small, obedient, and as ill as a test wants it."""

from __future__ import annotations

import io
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pydicom

__all__ = ["FakeArchive", "Request", "Response"]

BOUNDARY = "0f3cf5c0-70e0-41ef-baef-c6f9f65ec3e1"
SERIES = ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "Manufacturer", "StudyDate")
INSTANCE = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "NumberOfFrames")


@dataclass(frozen=True)
class Request:
    """What came: method, path below the archive's, what is searched for, headers and body."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Response:
    """What is answered; None as status cuts the connection instead."""

    status: int | None = 200
    kind: str = "application/dicom+json"
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    # Bytes of the body that are really sent, with the length of all of it said.
    sent: int | None = None


@dataclass
class _Object:
    content: bytes
    ds: Any

    def value(self, keyword: str) -> str:
        return str(self.ds.get(keyword) or "")


class FakeArchive:
    """Serves until `stop`.

    Attributes:
        root: Path of its services.
        most: Answers on a page, whatever is asked for; None for as many as are asked for.
        knows_offset: Whether it turns pages.
        known: Keywords that it searches by; others it ignores.
        hidden: Keywords that no answer says.
        authorization: The header that lets one in; None for everybody.
        before: Called with each request; what it returns is the answer, None for the usual one.
        seen: All requests.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.root = "/dicom-web"
        self.most: int | None = None
        self.knows_offset = True
        self.known: set[str] | None = None
        self.hidden: set[str] = set()
        self.authorization: str | None = None
        self.before: Callable[[Request], Response | None] = lambda request: None
        self.seen: list[Request] = []
        self.objects: dict[str, _Object] = {}
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"archive": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._tls = tls is not None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """As a user writes it."""
        return f"dicomweb{'s' * self._tls}://127.0.0.1:{self.port}{self.root}"

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, contents: Iterable[bytes]) -> None:
        """Put DICOM files into it."""
        for content in contents:
            ds = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True, force=True)
            with self._lock:
                self.objects.setdefault(str(ds.SOPInstanceUID), _Object(content, ds))

    def of_modality(self, modality: str) -> list[Any]:
        """Headers of its objects of a modality."""
        return [one.ds for one in self.objects.values() if one.value("Modality") == modality]

    def asked(self, method: str, end: str = "") -> list[Request]:
        """Requests of a method whose path ends so."""
        return [one for one in self.seen if one.method == method and one.path.endswith(end)]

    def answer(self, request: Request) -> Response:
        """What it says to a request."""
        with self._lock:
            self.seen.append(request)
        if self.authorization is not None and request.headers.get("authorization") != self.authorization:
            return Response(401, "text/plain")
        ill = self.before(request)
        if ill is not None:
            return ill
        if not request.path.startswith(self.root):
            return Response(404, "text/html", b"<html>")
        parts = [part for part in request.path[len(self.root) :].split("/") if part]
        if request.method == "POST":
            return self._store(request)
        if parts[-1] in ("studies", "series", "instances"):
            return self._search(parts, request.query)
        if parts[-1] == "metadata":
            found = [one.ds.to_json_dict() for one in self._of(parts[:-1])]
            return Response(body=json.dumps(found).encode()) if found else Response(404)
        return self._retrieve(parts)

    def multipart(self, contents: Iterable[bytes]) -> bytes:
        """Files as the parts of one body."""
        head = f"\r\n--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        return b"".join(head + content for content in contents)[2:] + f"\r\n--{BOUNDARY}--\r\n".encode()

    def _of(self, parts: list[str]) -> list[_Object]:
        levels = {"studies": "StudyInstanceUID", "series": "SeriesInstanceUID", "instances": "SOPInstanceUID"}
        wanted = {levels[level]: uid for level, uid in zip(parts[::2], parts[1::2], strict=False)}
        with self._lock:
            return [one for one in self.objects.values() if all(one.value(k) == v for k, v in wanted.items())]

    def _retrieve(self, parts: list[str]) -> Response:
        found = self._of(parts)
        if not found:
            return Response(404, "text/plain")
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        return Response(200, kind, self.multipart(one.content for one in found))

    def _search(self, parts: list[str], query: dict[str, str]) -> Response:
        level = parts[-1]
        key = {"studies": "StudyInstanceUID", "series": "SeriesInstanceUID", "instances": "SOPInstanceUID"}[level]
        rows: dict[str, list[_Object]] = {}
        for one in self._of(parts[:-1]):
            if all(self._fits(one, name, value) for name, value in query.items()):
                rows.setdefault(one.value(key), []).append(one)
        first = int(query.get("offset", 0)) if self.knows_offset else 0
        limit = min(int(query.get("limit", 10**6)), self.most or 10**6)
        page = list(rows.values())[first : first + limit]
        return Response(body=json.dumps([self._item(level, group) for group in page]).encode())

    def _fits(self, one: _Object, name: str, wanted: str) -> bool:
        if name in ("limit", "offset", "includefield") or (self.known is not None and name not in self.known):
            return True
        value = one.value(name)
        if "-" in wanted and name.endswith("Date"):
            low, high = wanted.split("-")
            return low <= value <= (high or "9")
        return fnmatchcase(value, wanted)

    def _item(self, level: str, group: list[_Object]) -> dict[str, Any]:
        item: dict[str, Any] = {}
        for keyword in SERIES if level == "series" else INSTANCE:
            if keyword in group[0].ds and keyword not in self.hidden:
                element = group[0].ds[keyword]
                tag = f"{element.tag.group:04X}{element.tag.element:04X}"
                value = element.value
                item[tag] = {"vr": element.VR, "Value": [int(value) if element.VR == "IS" else str(value)]}
        if level == "series" and "NumberOfSeriesRelatedInstances" not in self.hidden:
            item["00201209"] = {"vr": "IS", "Value": [len(group)]}
        return item

    def _store(self, request: Request) -> Response:
        boundary = request.headers["content-type"].split("boundary=")[1].strip('"').encode()
        parts = request.body.split(b"--" + boundary)[1:-1]
        self.add(part.split(b"\r\n\r\n", 1)[1][:-2] for part in parts)
        return Response(body=b"{}")


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that goes away is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    archive: FakeArchive
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: pytest would show it."""

    def _answer(self) -> None:
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, url.path, dict(parse_qsl(url.query)), headers, self._body(headers))
        response = self.archive.answer(request)
        if response.status is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(response.status)
        self.send_header("Content-Type", response.kind)
        self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body[: response.sent])
        if response.sent is not None:
            self.close_connection = True

    def _body(self, headers: dict[str, str]) -> bytes:
        if "chunked" not in headers.get("transfer-encoding", ""):
            return self.rfile.read(int(headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body
