"""A server on the loopback interface that breaks off, lies about sizes, and serves wrong files."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """One file and how it is served.

    Attributes:
        content: Its bytes.
        breaks_after: Bytes after which each connection ends; None for none.
        says: Length that is announced in place of the true one.
        length: Whether a length is announced at all.
        ranges: Whether the rest alone can be had.
        longest: Bytes that an answer with a part has at most; None for the whole rest.
        before: Bytes by which a part begins before what was asked for.
        status: Answered in place of 200.
        kind: Content-Type.
        mark: ETag; None for that of the content, "" for none.
    """

    content: bytes
    breaks_after: int | None = None
    says: int | None = None
    length: bool = True
    ranges: bool = True
    longest: int | None = None
    before: int = 0
    status: int = 200
    kind: str = "application/zip"
    mark: str | None = None

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.content).hexdigest()}"' if self.mark is None else self.mark


@dataclass
class Server:
    """The server's files by name, and what was asked of it."""

    address: str = ""
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"

    @property
    def ranges(self) -> list[str]:
        """The Range of each request, "" for all of the file."""
        return [asked for _, asked in self.asked]


@contextmanager
def serving() -> Iterator[Server]:
    """A server on a free port, ended with the block."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            asked = self.headers.get("Range", "")
            server.asked.append((name, asked))
            file = server.files.get(name)
            self.close_connection = True
            if file is None or file.status != 200:
                self.send_error(file.status if file else 404)
                return
            found = re.fullmatch(r"bytes=(\d+)-", asked)
            start = (
                int(found[1]) if found and file.ranges and self.headers.get("If-Range", file.etag) == file.etag else 0
            )
            if start and start >= len(file.content):
                self.send_error(416)
                return
            end = min(start + file.longest, len(file.content)) if start and file.longest else len(file.content)
            self.send_response(206 if start else 200)
            start = max(start - file.before, 0)
            body = file.content[start:end]
            self.send_header("Content-Type", file.kind)
            if file.length:
                self.send_header("Content-Length", str(len(body) if file.says is None else file.says))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(file.content)}")
            if file.etag:
                self.send_header("ETag", file.etag)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body if file.breaks_after is None else body[: file.breaks_after])

        def log_message(self, format: str, *arguments: object) -> None:
            """The tests read `asked`."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.address = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join(10)
