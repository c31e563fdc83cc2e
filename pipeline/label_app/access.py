"""Who may use the server: users with passwords, who get tokens.

The users stand in a file as `htpasswd -B` writes it, a name and a bcrypt hash a line. 3D Slicer's login window asks for
a token (`/auth/token`); a browser asks its user for name and password; scripts send either.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path

import bcrypt
import jwt

from pipeline.errors import InvalidOption, MissingFile

__all__ = ["Users", "current_user", "read_users"]

# Of the request that is being answered; "" where everybody is let in.
current_user: ContextVar[str] = ContextVar("current_user", default="")

TOKEN_SECONDS = 12 * 3600
ALGORITHM = "HS256"
HASHES = ("$2a$", "$2b$", "$2y$")


class Users:
    """Users and the tokens that they were given, until the server ends.

    Args:
        hashes: Name → bcrypt hash of the password; at least one.
    """

    def __init__(self, hashes: Mapping[str, str]) -> None:
        self._hashes = {name: stored.encode() for name, stored in hashes.items()}
        self._secret = secrets.token_bytes(32)
        self._seen: set[bytes] = set()

    def check(self, name: str, password: str) -> bool:
        """Whether the password is that of the user."""
        # bcrypt is slow on purpose; whoever was let in once is known by a digest under a key of this process.
        proof = hmac.digest(self._secret, f"{len(name)}:{name}{password}".encode(), hashlib.sha256)
        if proof in self._seen:
            return True
        # Also for a name that there is not, which the time would tell otherwise.
        stored = self._hashes.get(name) or next(iter(self._hashes.values()))
        right = bcrypt.checkpw(password.encode()[:72], stored) and name in self._hashes
        if right:
            self._seen.add(proof)
        return right

    def token(self, name: str) -> str:
        """A token for a user who has shown the password."""
        return jwt.encode({"sub": name, "exp": int(time.time()) + TOKEN_SECONDS}, self._secret, ALGORITHM)

    def of(self, authorization: str) -> str | None:
        """The user of an Authorization header, `Basic …` or `Bearer …`; None if it lets nobody in."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            try:
                name = str(jwt.decode(value.strip(), self._secret, [ALGORITHM])["sub"])
            except (jwt.InvalidTokenError, KeyError):
                return None
            return name if name in self._hashes else None
        if scheme.lower() == "basic":
            try:
                name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return None
            return name if colon and self.check(name, password) else None
        return None


def read_users(path: Path) -> Users:
    """The users of a file.

    Raises:
        MissingFile: if it is not there.
        InvalidOption: if a line is no name and bcrypt hash, or there is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise MissingFile(f"{path}: no such file of users. Make one: htpasswd -B -c {path} NAME") from None
    hashes: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, stored = line.strip().partition(":")
        if not colon or not name or not stored.startswith(HASHES):
            raise InvalidOption(f"{path}, line {number}: expected NAME:HASH with a bcrypt hash, as htpasswd -B writes.")
        hashes[name] = stored
    if not hashes:
        raise InvalidOption(f"{path}: names no user. Add one: htpasswd -B {path} NAME")
    return Users(hashes)
