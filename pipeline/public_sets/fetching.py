"""Fetching one file over HTTP: goes on where it broke off, and is whole and what it should be, or not there."""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipeline.errors import DownloadFailed
from pipeline.public_sets.catalogue import RemoteFile

if TYPE_CHECKING:
    import requests

__all__ = ["ResumingDownloader", "fetch"]

CHUNK = 1 << 20
TIMEOUT_S = 30
# Times in a row that a connection may bring nothing new before we give up.
ATTEMPTS = 4
PAUSE_S = 2.0
# RFC 9110, 14.4
RANGE = re.compile(r"bytes (?P<first>\d+)-\d+(?:/(?P<size>\d+))?")

OnProgress = Callable[[int, "int | None"], None]


def fetch(
    file: RemoteFile,
    folder: Path,
    *,
    any_size: bool = False,
    on_progress: OnProgress = lambda done, total: None,
    pause_s: float = PAUSE_S,
) -> Path:
    """Fetch a file, or take it as it is if it has been fetched before.

    Args:
        file: What and from where.
        folder: Where it goes.
        any_size: Take a file of another size or digest than the catalogue says.
        on_progress: Told of bytes done and in all (None if the server does not say).
        pause_s: Before another attempt, s.
    Returns: The file.
    Raises: DownloadFailed: if it cannot be had whole, or is not what it should be.
    """
    import pooch

    folder.mkdir(parents=True, exist_ok=True)
    there = folder / file.name
    if there.is_file() and file.size not in (None, there.stat().st_size) and not any_size:
        there.unlink()
    # pooch speaks of each download, and of its digest where none is known.
    pooch.get_logger().setLevel(logging.ERROR)
    downloader = ResumingDownloader(
        folder / f"{file.name}.part",
        size=None if any_size else file.size,
        on_progress=on_progress,
        pause_s=pause_s,
    )
    known = f"sha256:{file.sha256}" if file.sha256 is not None and not any_size else None
    try:
        return Path(pooch.retrieve(file.url, known, fname=file.name, path=folder, downloader=downloader))
    except ValueError as error:
        if "hash" not in str(error):
            raise
        raise DownloadFailed(
            f"{file.url}: its SHA-256 is not {file.sha256}, which the file should have; it was thrown away. Try again; "
            "if that does not help, the publisher has changed it, or something between here and there has: look at it, "
            "and take it with --as-it-is if it is right."
        ) from error


class ResumingDownloader:
    """What pooch calls to download: pooch's own begins anew each time.

    The part that has come stays in a file of its own. Another call, also of another process, asks for the rest, under
    the condition that the server's file is still the same (If-Range); a server that cannot do so sends all of it.

    Args:
        part: Where the part that has come is kept.
        size: Bytes that it must come to; None if that is not known.
        on_progress: Told of bytes done and in all.
        pause_s: Before another attempt, s.
    """

    def __init__(self, part: Path, *, size: int | None, on_progress: OnProgress, pause_s: float = PAUSE_S) -> None:
        self.part = part
        self.mark = part.with_name(f"{part.name}.mark")  # of the version that the part is of: its ETag or date
        self.size = size
        self.on_progress = on_progress
        self.pause_s = pause_s

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download `url` into `output_file`; `pooch` is not used."""
        import requests
        from urllib3.exceptions import HTTPError as ReadingFailed

        idle = 0
        while True:
            before = self._have()
            try:
                self._receive(url)
                break
            except requests.HTTPError as error:
                status = error.response.status_code if error.response is not None else 0
                self._refuse(url, status, error)
                what = f"the server answers {status}"
            except (requests.ConnectionError, requests.Timeout, ReadingFailed) as error:
                what = "the connection breaks off" if self._have() else _why(error, url)
            idle = 0 if self._have() > before else idle + 1
            if idle >= ATTEMPTS:
                have = self._have()
                kept = (
                    f"What has come, {have} bytes, is kept: give the command again later, and it goes on from there."
                    if have
                    else "Nothing has come. Give the command again later."
                )
                raise DownloadFailed(f"{url}: {what}, {ATTEMPTS} times in a row. {kept}")
            time.sleep(self.pause_s)
        self.part.replace(output_file)
        self.mark.unlink(missing_ok=True)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _receive(self, url: str) -> None:
        """One connection: all of the file, or the rest of it."""
        import requests

        have = self._have()
        if have and have == self.size:
            return
        headers = {"Accept-Encoding": "identity"}  # a packed body has another length than the file
        if have:
            headers["Range"] = f"bytes={have}-"
            with suppress(OSError):
                headers["If-Range"] = self.mark.read_text(encoding="ascii")
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
            if response.status_code == 416:  # there is no rest: what is here is of another file
                self._drop()
                raise requests.ConnectionError("range not satisfiable")
            response.raise_for_status()
            self._require_file(url, response)
            start, total = self._place(url, response, have)
            self._require_size(url, total)
            self._require_room(url, total if total is not None else self.size)
            self._note(response)
            with self.part.open("ab" if start else "wb") as out:
                # What comes is written at once: `iter_content` gathers a whole chunk, and loses it with the connection.
                while chunk := response.raw.read1(CHUNK, decode_content=False):
                    out.write(chunk)
                    if self.size is not None and out.tell() > self.size:
                        break
                    self.on_progress(out.tell(), total or self.size)
        if total is not None and self._have() < total:
            raise requests.ConnectionError("body shorter than announced")
        self._require_size(url, self._have())

    def _place(self, url: str, response: requests.Response, have: int) -> tuple[int, int | None]:
        """The byte of the file that the body begins with, and the file's size if the server tells it."""
        import requests

        if response.status_code == 206:
            found = RANGE.match(response.headers.get("Content-Range", ""))
            if found is None or int(found["first"]) != have:
                self._drop()  # asked for all of it, the server has no reason to send another part
                raise requests.ConnectionError("another part than was asked for")
            if found["size"]:  # of the whole file: a part may be shorter than the rest
                return have, int(found["size"])
        elif response.status_code == 200:
            have = 0
        else:
            raise DownloadFailed(
                f"{url}: the server answers {response.status_code} and sends no file. See planar data list."
            )
        length = response.headers.get("Content-Length", "")
        return have, (have + int(length) if length.isdecimal() else None)

    def _refuse(self, url: str, status: int, error: requests.HTTPError) -> None:
        """Raise DownloadFailed for an answer that will not be another one in a few seconds."""
        if status in (401, 403):
            raise DownloadFailed(
                f"{url}: the server asks for a login (status {status}). See planar data list."
            ) from error
        if status < 500 and status not in (408, 425, 429):
            raise DownloadFailed(
                f"{url}: the server answers {status}; the file has moved. See planar data list."
            ) from error

    def _require_file(self, url: str, response: requests.Response) -> None:
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise DownloadFailed(
                f"{url}: answers with a web page and not with the file; it has moved, or asks for a login. Open it in "
                "a browser."
            )

    def _require_size(self, url: str, size: int | None) -> None:
        if self.size is None or size is None or size == self.size:
            return
        self._drop()
        raise DownloadFailed(
            f"{url}: has {size} bytes, expected {self.size}; it was not taken. If its publisher has changed the file, "
            "give --as-it-is."
        )

    def _require_room(self, url: str, size: int | None) -> None:
        free = shutil.disk_usage(self.part.parent).free + self._have()
        if size is not None and size > free:
            raise DownloadFailed(f"{url}: has {size} bytes, and {self.part.parent} has room for {free}. Make room.")

    def _note(self, response: requests.Response) -> None:
        mark = response.headers.get("ETag", "") or response.headers.get("Last-Modified", "")
        if mark and not mark.startswith("W/") and mark.isascii():  # a weak mark says nothing of single bytes
            self.mark.write_text(mark, encoding="ascii")
        else:
            self.mark.unlink(missing_ok=True)

    def _drop(self) -> None:
        self.part.unlink(missing_ok=True)
        self.mark.unlink(missing_ok=True)


def _why(error: BaseException, url: str) -> str:
    """Why there is no connection; the libraries' own messages are about their pools and objects."""
    import requests

    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy of this machine (HTTP_PROXY, HTTPS_PROXY) does not lead there"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted here, or it speaks no TLS"
    said = f"{error!r} {error}"
    if "NameResolution" in said or "gaierror" in said or "getaddrinfo" in said:
        return f"there is no host {urlsplit(url).hostname}, or no network here"
    if isinstance(error, requests.Timeout):
        return "no answer comes in time"
    if "refused" in said:
        return "nothing answers there"
    return "no connection can be made, or it is cut at once"
