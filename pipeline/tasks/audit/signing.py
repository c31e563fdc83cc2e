"""Signatures of packs with an ed25519 key of the user's own.

openssl genpkey -algorithm ed25519 -out key.pem && openssl pkey -in key.pem -pubout -out public.pem
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.errors import InvalidOption, MissingFile
from pipeline.tasks.audit.check import Check, failed, passed, skipped

__all__ = ["ALGORITHM", "check_signature", "signature_of"]

ALGORITHM = "ed25519"


def signature_of(content: bytes, key: Path) -> str:
    """The content of `signature.json`.

    Args:
        content: What is signed.
        key: A private key in PEM or OpenSSH form, without a passphrase.

    Raises:
        MissingFile: if it is not there.
        InvalidOption: if it is no such key.
    """
    private = _private(key)
    signed = {
        "algorithm": ALGORITHM,
        "public_key": private.public_key().public_bytes_raw().hex(),
        "signature": private.sign(content).hex(),
    }
    return json.dumps(signed, indent=2) + "\n"


def check_signature(content: bytes, signature: bytes | None, key: Path | None) -> Check:
    """Whether a pack is signed, and by whom.

    Args:
        content: What is signed.
        signature: The content of `signature.json`; None if there is none.
        key: The public key that it must be signed by; None if any will do.

    Raises:
        MissingFile: if the key is not there.
        InvalidOption: if it is none.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    wanted = _public(key) if key is not None else None
    if signature is None:
        if wanted is not None:
            return failed("signature", "the pack is not signed", ["signature.json (missing)"])
        return skipped("signature", "the pack is not signed: who made it is not known", essential=False)
    try:
        said = json.loads(signature)
        public = bytes.fromhex(said["public_key"])
        if said["algorithm"] != ALGORITHM:
            raise ValueError("another algorithm")
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(said["signature"]), content)
    except InvalidSignature:
        return failed("signature", "it is not of this pack: the list of files was changed after it", ["signature.json"])
    except (ValueError, KeyError, TypeError):
        return failed("signature", "it cannot be read", ["signature.json"])
    if wanted is not None and public != wanted:
        return failed("signature", f"signed with the key {public.hex()[:16]}…, not with the one that was given")
    by = "the key that was given" if wanted is not None else f"the key {public.hex()[:16]}…; whose that is tells --key"
    return passed("signature", f"signed with {by}")


def _private(path: Path) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    content = _read(path)
    load = load_ssh_private_key if b"OPENSSH" in content else load_pem_private_key
    try:
        found = load(content, password=None)
    except (ValueError, TypeError) as error:  # TypeError: it has a passphrase
        raise InvalidOption(
            f"{path}: is no private key that can be used; expected an {ALGORITHM} key in PEM form without a "
            f"passphrase. Make one with: openssl genpkey -algorithm {ALGORITHM} -out key.pem"
        ) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise InvalidOption(f"{path}: is a key of another kind; expected {ALGORITHM}.")
    return found


def _public(path: Path) -> bytes:
    """The bytes of a public key, or of the public half of a private one."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key

    content = _read(path)
    if b"PRIVATE" in content:
        half: bytes = _private(path).public_key().public_bytes_raw()
        return half
    load = load_ssh_public_key if content.startswith(b"ssh-") else load_pem_public_key
    try:
        found = load(content)
    except Exception as error:  # also of the kind that cryptography alone knows
        raise InvalidOption(f"{path}: is no public key; expected an {ALGORITHM} key in PEM form.") from error
    if not isinstance(found, Ed25519PublicKey):
        raise InvalidOption(f"{path}: is a key of another kind; expected {ALGORITHM}.")
    return found.public_bytes_raw()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise MissingFile(f"{path} is not there; expected an {ALGORITHM} key.") from None
