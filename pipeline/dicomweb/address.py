"""Where an archive is: `dicomweb://HOST[:PORT]/path`, without anybody's password."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipeline.errors import InvalidOption

__all__ = ["Address"]

# What a user may write, and what it is on the wire.
SCHEMES = {"dicomweb": "http", "http": "http", "dicomwebs": "https", "https": "https"}
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
LOOPBACK = ("127.", "localhost")
HINT = "Write dicomweb://HOST:PORT/path, or dicomwebs:// for TLS; Orthanc's path is /dicom-web."


@dataclass(frozen=True)
class Address:
    """A DICOMweb node.

    Attributes:
        tls: Whether it is spoken to in TLS.
        host: Its name or IPv4 address.
        port: Its port, or None for the scheme's own.
        path: Of its services, without a slash at the end.
    """

    tls: bool
    host: str
    port: int | None
    path: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read what a user wrote.

        Raises: InvalidOption: if it is no address, or holds a user, a password or a question mark. No message repeats
            the text, for what is wrong with it may be a password in the wrong place.
        """
        if "@" in text:
            raise InvalidOption(
                "--from: the address holds a user or a password, which histories and logs of shells would keep. Take "
                "it out, and set PLANAR_DICOMWEB_USER and PLANAR_DICOMWEB_PASSWORD, or write them into ~/.netrc."
            )
        if "?" in text or "#" in text:
            raise InvalidOption(f"--from: an archive's address has no ? or #; --query says what to look for. {HINT}")
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError:
            raise InvalidOption(f"--from: the port is no number from 1 to 65535. {HINT}") from None
        if parts.scheme not in SCHEMES:
            raise InvalidOption(f"--from: an archive's address begins with dicomweb:// or dicomwebs://. {HINT}")
        if not parts.hostname or not HOST.fullmatch(parts.hostname) or port == 0:
            raise InvalidOption(f"--from: the address names no host. {HINT}")
        if re.search(r"\s", text.strip()):
            raise InvalidOption(f"--from: an archive's address has no spaces. {HINT}")
        return cls(SCHEMES[parts.scheme] == "https", parts.hostname, port, parts.path.rstrip("/"))

    @property
    def url(self) -> str:
        """As HTTP has it."""
        return f"http{'s' * self.tls}://{self._place}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, so that nobody can listen on the way."""
        return self.host.startswith(LOOPBACK)

    def __str__(self) -> str:
        return f"dicomweb{'s' * self.tls}://{self._place}"

    @property
    def _place(self) -> str:
        return f"{self.host}{'' if self.port is None else f':{self.port}'}{self.path}"
