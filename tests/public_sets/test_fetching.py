"""Fetching from a server that breaks off, lies about sizes and serves wrong files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from broken_server import Served, Server

from pipeline.errors import DownloadFailed
from pipeline.public_sets import RemoteFile, fetch

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def remote(server: Server, *, size: int | None = len(CONTENT), sha256: str | None = SHA256) -> RemoteFile:
    return RemoteFile(server.url("set.zip"), "set.zip", size, sha256)


def get(file: RemoteFile, folder: Path, **options: bool) -> Path:
    return fetch(file, folder, pause_s=0, **options)


def nothing_left(folder: Path) -> bool:
    return not any(folder.glob("set.zip*"))


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT)
    assert get(remote(server), tmp_path).read_bytes() == CONTENT
    assert get(remote(server), tmp_path) == tmp_path / "set.zip"
    assert len(server.asked) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set.zip"]


def test_progress_ends_with_all_bytes(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT)
    told: list[tuple[int, int | None]] = []
    fetch(remote(server), tmp_path, on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_a_server_that_breaks_off_is_asked_for_the_rest(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT, breaks_after=110_000)
    assert get(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["", "bytes=110000-", "bytes=220000-"]


def test_a_server_that_knows_no_ranges_sends_all_of_it_again(server: Server, tmp_path: Path) -> None:
    file = Served(CONTENT, breaks_after=110_000, ranges=False)
    server.files["set.zip"] = file
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:1000])
    file.breaks_after = None
    assert get(remote(server), tmp_path).read_bytes() == CONTENT


def test_another_call_goes_on_where_the_first_one_gave_up(server: Server, tmp_path: Path) -> None:
    file = Served(CONTENT, breaks_after=0)
    server.files["set.zip"] = file
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:200_000])
    with pytest.raises(
        DownloadFailed, match=r"breaks off, 4 times.*has come, 200000 bytes, is kept.*goes on from there"
    ):
        get(remote(server), tmp_path)
    assert not (tmp_path / "set.zip").exists()
    file.breaks_after = None
    server.asked.clear()
    assert get(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=200000-"]


def test_parts_of_two_versions_are_not_put_together(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT)
    (tmp_path / "set.zip.part").write_bytes(bytes(50_000))
    (tmp_path / "set.zip.part.mark").write_text('"of an older version"')
    assert get(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=50000-"]  # and was answered with all of it


def test_a_part_that_is_longer_than_the_file_is_begun_anew(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT)
    (tmp_path / "set.zip.part").write_bytes(bytes(len(CONTENT) + 5))
    assert get(remote(server, size=None), tmp_path).read_bytes() == CONTENT


def test_an_announced_size_that_is_another_is_not_fetched(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT + b"more")
    with pytest.raises(DownloadFailed, match=rf"has {len(CONTENT) + 4} bytes, expected {len(CONTENT)}.*--as-it-is"):
        get(remote(server), tmp_path)
    assert nothing_left(tmp_path)


def test_a_server_that_announces_more_than_it_has_is_given_up(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT, says=len(CONTENT) + 1000, ranges=False)
    with pytest.raises(DownloadFailed, match="breaks off"):
        get(remote(server, size=None, sha256=None), tmp_path)
    assert not (tmp_path / "set.zip").exists()


def test_a_server_that_announces_nothing_and_sends_too_much_is_stopped(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT * 20, length=False)
    with pytest.raises(DownloadFailed, match=f"expected {len(CONTENT)}"):
        get(remote(server), tmp_path)
    assert nothing_left(tmp_path)


def test_a_server_that_announces_nothing_and_sends_too_little_is_told(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT[:1000], length=False)
    with pytest.raises(DownloadFailed, match=f"has 1000 bytes, expected {len(CONTENT)}"):
        get(remote(server), tmp_path)
    assert nothing_left(tmp_path)


def test_a_wrong_file_of_the_right_size_is_thrown_away(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(bytes(len(CONTENT)))
    with pytest.raises(DownloadFailed, match=f"its SHA-256 is not {SHA256}"):
        get(remote(server), tmp_path)
    assert nothing_left(tmp_path)


def test_another_size_and_digest_are_taken_where_that_is_said(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT + b"more")
    with pytest.raises(DownloadFailed, match="expected"):
        get(remote(server), tmp_path / "other")
    assert get(remote(server), tmp_path, any_size=True).read_bytes() == CONTENT + b"more"


def test_a_file_of_another_size_that_lies_there_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT)
    (tmp_path / "set.zip").write_bytes(b"half of an older download")
    assert get(remote(server, sha256=None), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "said"), [(401, "login"), (403, "login"), (404, "moved"), (410, "moved")])
def test_an_answer_that_will_stay_is_told_at_once(status: int, said: str, server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT, status=status)
    with pytest.raises(DownloadFailed, match=said):
        get(remote(server), tmp_path)
    assert len(server.asked) == 1


def test_a_server_that_is_busy_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT, status=503)
    with pytest.raises(DownloadFailed, match="answers 503"):
        get(remote(server), tmp_path)
    assert len(server.asked) == 4


def test_a_page_that_asks_for_a_login_is_no_archive(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(b"<html>Sign in</html>", kind="text/html; charset=utf-8")
    with pytest.raises(DownloadFailed, match="web page and not with the file"):
        get(remote(server, size=None, sha256=None), tmp_path)
    assert nothing_left(tmp_path)


def test_no_server_at_all_is_one_clear_line(tmp_path: Path) -> None:
    file = RemoteFile("http://127.0.0.1:9/set.zip", "set.zip", None, None)
    with pytest.raises(DownloadFailed) as caught:
        get(file, tmp_path)
    assert str(caught.value) == (
        "http://127.0.0.1:9/set.zip: nothing answers there, 4 times in a row. Nothing has come. Give the command again "
        "later."
    )


def test_a_host_that_is_not_there_is_told_without_the_libraries_words(tmp_path: Path) -> None:
    file = RemoteFile("http://no-such-host.invalid/set.zip", "set.zip", None, None)
    with pytest.raises(DownloadFailed, match=r"there is no host no-such-host\.invalid, or no network here") as caught:
        get(file, tmp_path)
    assert "Pool" not in str(caught.value)


def test_a_disk_without_room_is_told_before_it_is_full(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    server.files["set.zip"] = Served(CONTENT)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("pipeline.public_sets.fetching.shutil.disk_usage", lambda path: usage)
    with pytest.raises(DownloadFailed, match="has room for 1000"):
        get(remote(server), tmp_path)


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_parts_that_are_shorter_than_the_rest_are_put_together(
    size: int | None, server: Server, tmp_path: Path
) -> None:
    server.files["set.zip"] = Served(CONTENT, longest=len(CONTENT) // 5)
    (tmp_path / "set.zip.part").write_bytes(CONTENT[: len(CONTENT) // 3])
    assert get(remote(server, size=size, sha256=None), tmp_path).read_bytes() == CONTENT
    assert len(server.asked) == 4
    assert all(server.ranges)


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_part_from_elsewhere_is_not_taken(size: int | None, server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT, before=10)
    (tmp_path / "set.zip.part").write_bytes(CONTENT[: len(CONTENT) // 3])
    assert get(remote(server, size=size, sha256=None), tmp_path).read_bytes() == CONTENT
    assert server.ranges[-1] == ""


def test_an_answer_without_a_file_is_none(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(CONTENT, status=204)
    with pytest.raises(DownloadFailed, match="answers 204 and sends no file"):
        get(remote(server, size=None, sha256=None), tmp_path)
    assert nothing_left(tmp_path)
