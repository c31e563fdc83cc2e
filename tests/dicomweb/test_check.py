"""An archive that cannot be used is told at once, in one line that says what to do."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fake_archive import FakeArchive, Response

from pipeline.dicomweb import open_archive
from pipeline.errors import ArchiveUnreachable


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that it has signed itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "archive of a test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "archive.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def encrypted(certificate: Path) -> Iterator[FakeArchive]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    archive = FakeArchive(context)
    try:
        yield archive
    finally:
        archive.stop()


def refused(address: str) -> str:
    with pytest.raises(ArchiveUnreachable) as caught:
        open_archive(address)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_archive_that_answers_is_asked_once(fake: FakeArchive) -> None:
    open_archive(fake.address).close()
    assert [one.path for one in fake.seen] == ["/dicom-web/studies"]


def test_one_that_is_down_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "nothing listens there" in refused(f"dicomweb://127.0.0.1:{port}/dicom-web")


def test_a_host_that_is_not_there_is_told() -> None:
    assert "there is no host archive.invalid" in refused("dicomweb://archive.invalid/dicom-web")


def test_one_that_hangs_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.dicomweb.archive.CHECK_S", 0.1)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        assert "no answer came in time" in refused(f"dicomweb://127.0.0.1:{deaf.getsockname()[1]}/dicom-web")


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (Response(404, "text/html"), "no DICOMweb at this path (404). Orthanc has it at /dicom-web"),
        (Response(200, "text/html", b"<html>"), "what answers is no DICOMweb (200, text/html)"),
        (Response(302, headers={"Location": "/dicom-web/studies"}), "from one address to the next without end"),
        (Response(503), "the archive is not well (503)"),
        (Response(None), "the connection was cut"),
    ],
)
def test_what_is_no_archive_is_told(fake: FakeArchive, response: Response, told: str) -> None:
    fake.before = lambda request: response
    assert told in refused(fake.address)


@pytest.mark.parametrize("response", [Response(204, ""), Response(400), Response(200, "application/json", b"[]")])
def test_an_archive_may_have_nothing_to_say(fake: FakeArchive, response: Response) -> None:
    fake.before = lambda request: response
    open_archive(fake.address).close()


def test_a_certificate_that_nobody_vouches_for_is_told_and_its_authority_can_be_named(
    encrypted: FakeArchive, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = refused(encrypted.address)
    assert "its certificate is not trusted here" in told
    assert "REQUESTS_CA_BUNDLE" in told
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    open_archive(encrypted.address).close()


def test_tls_where_there_is_none_is_told(fake: FakeArchive) -> None:
    assert "does not speak TLS" in refused(fake.address.replace("dicomweb:", "dicomwebs:"))
