"""An archive that can be asked, again and again where it is away for a moment."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import requests

from pipeline.dicomweb.address import Address
from pipeline.dicomweb.credentials import Credentials, credentials_for
from pipeline.dicomweb.faults import told
from pipeline.dicomweb.patience import Patience, patiently
from pipeline.dicomweb.transport import ArchiveSession
from pipeline.errors import ArchiveUnreachable

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

__all__ = ["Archive", "open_archive"]

T = TypeVar("T")

# Before any work: an archive that is down is told at once.
CHECK_S = 5.0
# A search that every archive answers fast, for no study has this identifier.
NO_STUDY = "1.2.3"


class Archive:
    """A DICOMweb node: searched (QIDO-RS), read (WADO-RS) and written (STOW-RS).

    It may be used by several threads, each of which gets a connection of its own.

    Args:
        address: Where it is.
        credentials: Who asks; by default what the environment or the netrc file says.
        patience: How long it is waited for.
    """

    def __init__(
        self, address: Address, credentials: Credentials | None = None, patience: Patience | None = None
    ) -> None:
        self.address = address
        self.credentials = credentials_for(address) if credentials is None else credentials
        self.patience = patience or Patience()
        self._closed = threading.Event()
        self._of_thread = threading.local()
        self._sessions: list[ArchiveSession] = []

    @property
    def warnings(self) -> list[str]:
        """What a user should know."""
        if self.credentials.source and not self.address.tls and not self.address.is_loopback:
            return [f"{self.address}: the password goes there for everybody to read; dicomwebs:// would hide it."]
        return []

    @property
    def session(self) -> ArchiveSession:
        """The thread's own connections, with credentials."""
        return self._client_and_session()[1]

    @property
    def client(self) -> DICOMwebClient:
        """The thread's own client, which repeats nothing itself."""
        return self._client_and_session()[0]

    def ask(self, what: str, action: Callable[[], T]) -> T:
        """Do something with the archive, repeated while it is away.

        Args:
            what: That cannot be done if it fails: "study 1.2.3 cannot be retrieved". It names no patient.
            action: What to do, with `client` or `session`.
        Raises: ArchiveUnreachable, ArchiveRefusal: when patience is at an end.
        """
        try:
            return patiently(action, self.patience, self._closed)
        except Exception as error:
            known = told(error, what, self.address, self.credentials)
            if known is None or known is error:
                raise
        raise known

    def check(self, limit_s: float | None = None) -> None:
        """Ask whether there is a DICOMweb archive that lets us in.

        Args:
            limit_s: To connect, and to begin an answer; by default time enough for a slow one.
        Raises: ArchiveUnreachable: if there is none, at once and without repetition.
        """
        url = f"{self.address.url}/studies?StudyInstanceUID={NO_STUDY}&limit=1"
        accepted = {"Accept": "application/dicom+json"}
        limits = (CHECK_S, 2 * CHECK_S) if limit_s is None else (limit_s, limit_s)
        try:
            with self.session.get(url, headers=accepted, timeout=limits, stream=True) as answer:
                status, kind = answer.status_code, answer.headers.get("Content-Type", "")
        except (requests.RequestException, OSError) as error:
            known = told(error, "it cannot be asked", self.address, self.credentials) or error
            said = str(known)
        else:
            said = self._wrong(status, kind)
        if said:
            raise ArchiveUnreachable(said)

    def close(self) -> None:
        """Wait for nothing any more; requests of other threads end with their next failure."""
        self._closed.set()
        for session in list(self._sessions):
            session.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _wrong(self, status: int, kind: str) -> str:
        """What an answer to `check` says, or "" if it is an archive's."""
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            error = requests.HTTPError(response=_response(status))
            return str(told(error, "it cannot be asked", self.address, self.credentials))
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            return f"{self.address}: there is no DICOMweb at this path ({status}). Orthanc has it at /dicom-web."
        if status >= 500:
            return f"{self.address}: the archive is not well ({status}). Try again later."
        # No content, or a search that asks for too little: an archive all the same.
        if status in (HTTPStatus.NO_CONTENT, HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE):
            return ""
        if status != HTTPStatus.OK or "json" not in kind:
            shown = kind.partition(";")[0].strip() or "nothing"
            return f"{self.address}: what answers is no DICOMweb ({status}, {shown}). Orthanc has it at /dicom-web."
        return ""

    def _client_and_session(self) -> tuple[DICOMwebClient, ArchiveSession]:
        made: tuple[DICOMwebClient, ArchiveSession] | None = getattr(self._of_thread, "made", None)
        if made is None:
            from dicomweb_client import DICOMwebClient

            # Below errors it logs what is searched for, which may be a patient's name.
            logging.getLogger("dicomweb_client").setLevel(logging.ERROR)
            session = ArchiveSession(self.credentials.auth, (self.patience.connect_s, self.patience.read_s))
            client = DICOMwebClient(self.address.url, session=session)
            client.set_http_retry_params(retry=False)
            made = self._of_thread.made = (client, session)
            self._sessions.append(session)
        return made


def open_archive(address: str, patience: Patience | None = None) -> Archive:
    """The archive at an address that a user wrote, after a look at whether it is there.

    Raises:
        InvalidOption: for an address or credentials that cannot be used.
        ArchiveUnreachable: if it does not answer, or lets nobody in.
    """
    archive = Archive(Address.parse(address), patience=patience)
    try:
        archive.check()
    except BaseException:
        archive.close()
        raise
    return archive


def _response(status: int) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    return response
