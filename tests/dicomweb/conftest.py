"""An archive with films and a CT, and nobody's settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_archive import FakeArchive

from pipeline.dicomweb import Address, Archive, Patience
from pipeline.phantom import ct_series, radiograph, thorax
from pipeline.phantom.dicom import ct_slices_bytes, film_bytes

# Waits of a test.
QUICK = Patience(connect_s=5, read_s=5, away_s=1, first_s=0.01, longest_s=0.05, errors=3, found_s=0.2)


@pytest.fixture(autouse=True)
def _nobodys_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("USER", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"PLANAR_DICOMWEB_{name}", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture(scope="session")
def films() -> list[bytes]:
    """Seven films of seven studies."""
    film = radiograph(thorax(1), seed=1, size=64)
    return [film_bytes(film, subject=f"PHANTOM-{number}", number=1, origin="web") for number in range(7)]


@pytest.fixture(scope="session")
def slices() -> list[bytes]:
    """A series of five slices."""
    series = ct_series(thorax(1), seed=1, size=32, slices=5)
    return list(ct_slices_bytes(series, subject="PHANTOM-0", origin="web"))


@pytest.fixture
def fake() -> Iterator[FakeArchive]:
    """An empty archive."""
    archive = FakeArchive()
    try:
        yield archive
    finally:
        archive.stop()


@pytest.fixture
def opened(fake: FakeArchive) -> Iterator[Archive]:
    """The client of the archive, impatient."""
    archive = Archive(Address.parse(fake.address), patience=QUICK)
    yield archive
    archive.close()


@pytest.fixture
def chunked() -> Callable[[bytes, int], Iterator[bytes]]:
    """A body in pieces of a size."""
    return lambda body, size: (body[start : start + size] for start in range(0, len(body), size))
