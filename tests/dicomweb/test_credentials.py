"""Who asks an archive: what is told to whom, and what is told to nobody."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_archive import FakeArchive, Request, Response

from pipeline.dicomweb import Address, Archive, Patience, Query, find_series, open_archive, retrieve, store
from pipeline.dicomweb.credentials import credentials_for
from pipeline.errors import ArchiveRefusal, ArchiveUnreachable, InvalidOption, PlanarError

USER, PASSWORD, TOKEN = "radiographer", "s3cret-Grüße", "t0ken.abc-123"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
QUICK = Patience(connect_s=5, read_s=5, away_s=0.1, first_s=0.01, found_s=0.1)


@pytest.fixture
def other() -> Iterator[FakeArchive]:
    archive = FakeArchive()
    try:
        yield archive
    finally:
        archive.stop()


def set_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANAR_DICOMWEB_USER", USER)
    monkeypatch.setenv("PLANAR_DICOMWEB_PASSWORD", PASSWORD)


def netrc_for(path: Path, host: str, monkeypatch: pytest.MonkeyPatch, mode: int = 0o600) -> None:
    path.write_text(f"machine {host}\n  login {USER}\n  password {PASSWORD}\n", encoding="utf-8")
    path.chmod(mode)
    monkeypatch.setenv("NETRC", str(path))


def test_user_and_password_of_the_environment_open_the_archive(
    fake: FakeArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_password(monkeypatch)
    fake.authorization = BASIC
    open_archive(fake.address).close()
    assert [one.headers["authorization"] for one in fake.seen] == [BASIC]


def test_so_does_a_token(fake: FakeArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANAR_DICOMWEB_TOKEN", f" {TOKEN}\n")
    fake.authorization = f"Bearer {TOKEN}"
    open_archive(fake.address).close()
    assert len(fake.seen) == 1


def test_so_does_a_netrc_file_that_nobody_else_may_read(
    fake: FakeArchive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc_for(tmp_path / "netrc", "127.0.0.1", monkeypatch)
    fake.authorization = BASIC
    open_archive(fake.address).close()


def test_a_netrc_file_that_others_may_read_is_refused_if_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc_for(tmp_path / "netrc", "pacs", monkeypatch, 0o644)
    with pytest.raises(InvalidOption, match=r"others may read the password of pacs .* chmod 600"):
        credentials_for(Address.parse("dicomweb://pacs/dicom-web"))
    assert credentials_for(Address.parse("dicomweb://elsewhere/dicom-web")).source == ""


def test_a_damaged_netrc_file_is_told_without_its_content(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(f"machine pacs login {USER} passwort {PASSWORD}\n", encoding="utf-8")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(InvalidOption, match="is not as netrc files are written") as caught:
        credentials_for(Address.parse("dicomweb://pacs/dicom-web"))
    require_no_secret("".join(traceback.format_exception(caught.value)))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"USER": USER}, "PLANAR_DICOMWEB_USER is set and PLANAR_DICOMWEB_PASSWORD is not"),
        ({"PASSWORD": PASSWORD}, "PLANAR_DICOMWEB_PASSWORD is set and PLANAR_DICOMWEB_USER is not"),
        ({"USER": USER, "PASSWORD": PASSWORD, "TOKEN": TOKEN}, "unset one or the other"),
        ({"TOKEN": f"{TOKEN}\nX-Other: 1"}, "holds spaces, line breaks"),
        ({"TOKEN": f"{TOKEN}ü"}, "holds spaces, line breaks or letters"),
    ],
)
def test_settings_that_contradict_each_other_are_told_without_what_is_secret(
    settings: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"PLANAR_DICOMWEB_{name}", value)
    with pytest.raises(InvalidOption, match=told) as caught:
        credentials_for(Address.parse("dicomweb://pacs/dicom-web"))
    require_no_secret(str(caught.value))


def test_whoever_is_not_let_in_learns_where_to_say_who_they_are(
    fake: FakeArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.authorization = "Basic other"
    with pytest.raises(ArchiveUnreachable, match=r"asks who you are \(401\).*PLANAR_DICOMWEB_USER"):
        open_archive(fake.address)
    set_password(monkeypatch)
    with pytest.raises(ArchiveUnreachable, match=r"does not know the user of PLANAR_DICOMWEB_USER \(401\)"):
        open_archive(fake.address)
    fake.before = lambda request: Response(403, "text/html")
    fake.authorization = None
    with pytest.raises(ArchiveUnreachable, match=r"is not allowed to \(403\)"):
        open_archive(fake.address)


def test_a_request_that_is_sent_on_to_another_address_has_no_credentials(
    fake: FakeArchive, other: FakeArchive, films: list[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_password(monkeypatch)
    # requests would look here for the other address.
    netrc_for(tmp_path / "netrc", "127.0.0.1", monkeypatch)
    fake.authorization = BASIC
    fake.add(films[:1])
    other.add(films[:1])
    ds = fake.of_modality("DX")[0]

    def elsewhere(request: Request) -> Response | None:
        if "/instances/" not in request.path:
            return None
        return Response(307, headers={"Location": f"http://127.0.0.1:{other.port}{request.path}"})

    fake.before = elsewhere
    args = (ds.StudyInstanceUID, ds.SeriesInstanceUID, [ds.SOPInstanceUID], tmp_path / "got")
    with open_archive(fake.address) as archive:
        (got,) = retrieve(archive, *args)
    assert got.read_bytes() == films[0]
    assert other.seen
    assert all("authorization" not in one.headers for one in other.seen)
    assert all(one.headers["authorization"] == BASIC for one in fake.seen)


def test_what_is_to_be_stored_is_sent_nowhere_else(
    fake: FakeArchive, other: FakeArchive, films: list[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_password(monkeypatch)
    (tmp_path / "film.dcm").write_bytes(films[0])
    fake.before = lambda request: (
        Response(307, headers={"Location": f"http://127.0.0.1:{other.port}{request.path}"})
        if request.method == "POST"
        else None
    )
    fake.add(films[:1])
    study = fake.of_modality("DX")[0].StudyInstanceUID
    fake.objects.clear()
    with (
        Archive(Address.parse(fake.address), patience=QUICK) as archive,
        pytest.raises(ArchiveRefusal, match="sends what is to be stored on to another address"),
    ):
        store(archive, tmp_path / "film.dcm", study)
    assert other.seen == []


def test_no_secret_is_in_an_error_a_traceback_a_log_or_a_representation(
    fake: FakeArchive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    set_password(monkeypatch)
    caplog.set_level(logging.DEBUG, logger="dicomweb_client")
    archive = Archive(Address.parse(fake.address), patience=QUICK)
    require_no_secret(repr(archive.credentials) + repr(archive.credentials.auth) + repr(archive) + repr(vars(archive)))
    query = Query.parse("PatientName=Doe^John")
    for response in (Response(500), Response(400), Response(None), Response(404), Response(200, "text/html", b"<")):
        fake.before = lambda request, response=response: response
        with pytest.raises(PlanarError) as caught:
            find_series(archive, query)
        said = "".join(traceback.format_exception(caught.value))
        require_no_secret(said)
        assert "Doe" not in said
    archive.close()
    require_no_secret(caplog.text)
    assert "Doe" not in caplog.text


def test_a_password_that_goes_unencrypted_over_a_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    address = Address.parse("dicomweb://pacs/dicom-web")
    assert Archive(address).warnings == []
    set_password(monkeypatch)
    (told,) = Archive(address).warnings
    assert "for everybody to read" in told
    assert Archive(Address.parse("dicomwebs://pacs/dicom-web")).warnings == []
    assert Archive(Address.parse("dicomweb://localhost/dicom-web")).warnings == []


def require_no_secret(text: str) -> None:
    for secret in (PASSWORD, "s3cret", TOKEN, "t0ken", BASIC, BASIC.removeprefix("Basic ")):
        assert secret not in text
