"""The way to an archive: with time limits, and with credentials and images for that archive alone."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from pipeline.errors import ArchiveRefusal

__all__ = ["ArchiveSession"]


class ArchiveSession(requests.Session):
    """A session with one archive.

    Proxies and certificates are the environment's (`HTTPS_PROXY`, `REQUESTS_CA_BUNDLE`), credentials are not.

    Args:
        auth: Puts the credentials into a request.
        timeout_s: To connect, and without a byte of an answer, s.
    """

    def __init__(self, auth: AuthBase, timeout_s: tuple[float, float]) -> None:
        super().__init__()
        self.auth = auth
        for scheme in ("http://", "https://"):
            self.mount(scheme, _WithTimeout(timeout_s))

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Take the credentials off a request that is sent on to another address; requests would look for others."""
        old, new = response.request.url or "", prepared_request.url or ""
        if "Authorization" in prepared_request.headers and self.should_strip_auth(old, new):
            del prepared_request.headers["Authorization"]

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where an answer sends a request on to; an image that is to be stored is sent nowhere else.

        Raises: ArchiveRefusal: for anything but a request to read.
        """
        target = super().get_redirect_target(resp)
        if target is not None and resp.request.method not in ("GET", "HEAD"):
            resp.close()
            raise ArchiveRefusal(
                "The archive sends what is to be stored on to another address, and patients' data go nowhere but where "
                "you say. Give that address itself with --from."
            )
        return target


class _WithTimeout(HTTPAdapter):
    def __init__(self, timeout_s: tuple[float, float]) -> None:
        self.timeout_s = timeout_s
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        # dicomweb-client sets the host without its port, and a request that is sent on would keep it.
        request.headers.pop("Host", None)
        options["timeout"] = options.get("timeout") or self.timeout_s
        return super().send(request, *args, **options)
