"""What goes wrong between an archive and us: what passes by itself, and what to tell a user in one line.

The libraries' own messages quote addresses with all they search for, which may be a patient's name: none is repeated.
"""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus

import requests

from pipeline.dicomweb.address import Address
from pipeline.dicomweb.credentials import HINT, Credentials
from pipeline.errors import ArchiveRefusal, ArchiveUnreachable, PlanarError

__all__ = ["CutShortError", "Transience", "asked_to_wait_s", "told", "transience_of"]

BUSY = (408, 425, 429, 502, 503, 504)
WORDS = {
    400: "the archive does not understand it",
    406: "the archive does not give it in the form that it is stored in",
    409: "the archive does not take it",
    413: "it is larger than the archive takes",
    415: "the archive does not take this kind of object",
    507: "the archive is full",
}


class Transience(Enum):
    """Whether a failure may pass by itself."""

    NEVER = "never"
    AWAY = "when the archive answers again"
    ERROR = "the archive's own error, which may be one of a moment"


class CutShortError(ConnectionError):
    """An answer that ended before it was complete."""


def transience_of(error: BaseException) -> Transience:
    """Whether to try again."""
    if isinstance(error, (requests.exceptions.SSLError, PlanarError)):
        return Transience.NEVER
    if isinstance(error, requests.HTTPError):
        status = _status(error)
        return Transience.AWAY if status in BUSY else Transience.ERROR if status >= 500 else Transience.NEVER
    passing = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, CutShortError)
    return Transience.AWAY if isinstance(error, passing) else Transience.NEVER


def asked_to_wait_s(error: BaseException) -> float:
    """What a busy archive asks for (Retry-After), s; 0 if it says nothing."""
    response = getattr(error, "response", None)
    said = response.headers.get("Retry-After", "") if isinstance(response, requests.Response) else ""
    return float(said) if said.isdecimal() else 0.0


def told(error: BaseException, what: str, address: Address, credentials: Credentials) -> PlanarError | None:
    """The error in a line of ours, or None for a bug.

    Args:
        error: What was raised.
        what: That was to be done, such as "study 1.2.3 cannot be retrieved".
        address: Of the archive.
        credentials: That it was given.
    """
    if isinstance(error, PlanarError):
        return error
    if isinstance(error, requests.HTTPError):
        return _of_status(_status(error), what, address, credentials)
    if isinstance(error, requests.exceptions.SSLError):
        return ArchiveUnreachable(f"{address}: {_tls(error)}")
    if isinstance(error, requests.exceptions.ProxyError):
        return ArchiveUnreachable(
            f"{address}: the proxy of this machine (HTTP_PROXY, HTTPS_PROXY) does not lead there."
        )
    if isinstance(
        error, (requests.Timeout, requests.ConnectionError, requests.exceptions.ChunkedEncodingError, CutShortError)
    ):
        return ArchiveUnreachable(f"{address}: {what}: {_why(error, address)}")
    if isinstance(error, (requests.exceptions.JSONDecodeError, requests.exceptions.InvalidJSONError)):
        return ArchiveRefusal(f"{address}: {what}: the answer is no DICOM JSON. Is this the path of DICOMweb?")
    if isinstance(error, requests.TooManyRedirects):
        return ArchiveRefusal(f"{address}: {what}: the archive sends from one address to the next without end.")
    if isinstance(error, requests.RequestException):
        return ArchiveRefusal(f"{address}: {what}: {type(error).__name__}.")
    return None


def _of_status(status: int, what: str, address: Address, credentials: Credentials) -> PlanarError:
    if status == HTTPStatus.UNAUTHORIZED:
        if not credentials.source:
            return ArchiveUnreachable(f"{address}: the archive asks who you are (401). {HINT}")
        return ArchiveUnreachable(f"{address}: the archive does not know the user of {credentials.source} (401).")
    if status == HTTPStatus.FORBIDDEN:
        whose = f"the user of {credentials.source}" if credentials.source else "a user without a name"
        return ArchiveRefusal(f"{address}: {what}: {whose} is not allowed to (403).")
    if status == HTTPStatus.NOT_FOUND:
        # Orthanc's own interface has studies too, and answers a search of theirs like this.
        where = " Is this the path of DICOMweb? Orthanc has it at /dicom-web." if not address.path else ""
        return ArchiveRefusal(f"{address}: {what}: it is not there (404).{where}")
    if status in BUSY:
        return ArchiveUnreachable(f"{address}: {what}: the archive does not answer ({status}).")
    words = WORDS.get(status, "the archive failed" if status >= 500 else "the archive refused")
    return ArchiveRefusal(f"{address}: {what}: {words} ({status}).")


def _status(error: requests.HTTPError) -> int:
    return error.response.status_code if error.response is not None else 0


def _why(error: BaseException, address: Address) -> str:
    if isinstance(error, requests.ConnectTimeout):
        return "nothing answers there. Is the archive running, and is the port right?"
    if isinstance(error, (CutShortError, requests.exceptions.ChunkedEncodingError)):
        return "the answer broke off."
    if isinstance(error, requests.Timeout):
        return "no answer came in time."
    causes = _causes(error)
    if any(name in causes for name in ("NameResolutionError", "gaierror")):
        return f"there is no host {address.host}."
    if "ConnectionRefusedError" in causes or "NewConnectionError" in causes:
        return "nothing listens there. Is the archive running, and is the port right?"
    return "the connection was cut."


def _tls(error: BaseException) -> str:
    said = str(error).lower()
    if "certificate" in said:
        return (
            "its certificate is not trusted here. If it is the hospital's own, name its authority's file in "
            "REQUESTS_CA_BUNDLE."
        )
    return "it does not speak TLS as is expected. If it has none, the address begins with dicomweb://."


def _causes(error: BaseException | None) -> set[str]:
    """Names of an error's kinds and of all that it wraps."""
    found: set[str] = set()
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        found |= {kind.__name__ for kind in type(one).__mro__}
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return found
