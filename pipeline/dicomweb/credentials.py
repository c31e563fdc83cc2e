"""Who asks an archive: from the environment or a netrc file, and never from a command line.

What is secret is held in objects whose `repr` does not show it, and goes into one header of a request.
"""

from __future__ import annotations

import netrc
import os
from dataclasses import dataclass, field
from pathlib import Path

from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from pipeline.dicomweb.address import Address
from pipeline.errors import InvalidOption

__all__ = ["HINT", "PASSWORD", "TOKEN", "USER", "Credentials", "credentials_for"]

USER, PASSWORD, TOKEN = "PLANAR_DICOMWEB_USER", "PLANAR_DICOMWEB_PASSWORD", "PLANAR_DICOMWEB_TOKEN"
HINT = f"Set {USER} and {PASSWORD}, or {TOKEN}, or name the host in ~/.netrc."
# Bits of a file's mode that let others than its owner read it.
OTHERS = 0o077


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Nobody(AuthBase):
    """Says nothing. Without it requests would look into a netrc file itself, whoever may read that."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return request


@dataclass(frozen=True)
class Credentials:
    """What an archive is told of who asks.

    Attributes:
        auth: Puts it into a request.
        source: Where it was found, for messages; "" if there is none.
    """

    auth: AuthBase = field(default_factory=_Nobody, repr=False)
    source: str = ""


def credentials_for(address: Address) -> Credentials:
    """What the environment says, else what the netrc file says of this host, else nothing.

    Raises: InvalidOption: if the environment contradicts itself or holds no header, or others may read the netrc file.
    """
    user, password, token = (os.environ.get(name, "") for name in (USER, PASSWORD, TOKEN))
    if token and (user or password):
        raise InvalidOption(f"{TOKEN} is set, and {USER} or {PASSWORD} too: unset one or the other.")
    if token:
        token = token.strip()
        # requests would quote a header that it refuses in its message.
        if not token.isascii() or not token.isprintable() or " " in token:
            raise InvalidOption(f"{TOKEN} holds spaces, line breaks or letters that no token has. Copy it again.")
        return Credentials(_Bearer(token), TOKEN)
    if user or password:
        if not user or not password:
            given, missing = (USER, PASSWORD) if user else (PASSWORD, USER)
            raise InvalidOption(f"{given} is set and {missing} is not: set both.")
        return _basic(user, password, USER)
    return _from_netrc(address.host)


def _basic(user: str, password: str, source: str) -> Credentials:
    # As bytes: requests encodes text as Latin-1, and says what it cannot encode.
    return Credentials(HTTPBasicAuth(user.encode(), password.encode()), source)


def _from_netrc(host: str) -> Credentials:
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    if not path.is_file():
        return Credentials()
    try:
        found = netrc.netrc(str(path)).hosts.get(host)
    except netrc.NetrcParseError as error:  # its own words quote what it does not understand
        raise InvalidOption(f"{path}: line {error.lineno} is not as netrc files are written. Correct it.") from None
    except (OSError, UnicodeDecodeError):
        raise InvalidOption(
            f"{path}: the netrc file cannot be read. Correct its permissions, or unset NETRC."
        ) from None
    if not found or not found[2]:
        return Credentials()
    if hasattr(os, "getuid"):
        status = path.stat()
        if status.st_mode & OTHERS or status.st_uid != os.getuid():
            raise InvalidOption(f"{path}: others may read the password of {host} in it. chmod 600 {path}")
    return _basic(found[0], found[2], str(path))
