"""Zip archives read as folders."""

import io
import os
import threading
import zipfile
from pathlib import Path

import pytest

from pipeline.archives import exists, is_archive, is_folder, members_below, on_disk, open_binary, split_archive
from pipeline.errors import MissingFile, UnreadableImage, UnsupportedImage


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "Study.ZIP"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/1", b"one")
        file.writestr("a/b/2", b"two")
        file.writestr("3", b"three" * 1000)
        file.writestr("../outside", b"never")
        file.writestr("/absolute", b"never")
        file.writestr("black", bytes(10_000_000))
    return str(path)


def content(path):
    with open_binary(path) as file:
        return file.read()


def test_members_are_paths_below_the_archive(archive):
    assert sorted(members_below(archive)) == [f"{archive}/3", f"{archive}/a/1", f"{archive}/a/b/2", f"{archive}/black"]
    assert sorted(members_below(f"{archive}/a")) == [f"{archive}/a/1", f"{archive}/a/b/2"]
    assert content(f"{archive}/a/b/2") == b"two"


def test_paths_outside_the_archive_do_not_exist(archive):
    for member in ("../outside", "/absolute", "nothing"):
        assert not exists(f"{archive}/{member}")
        with pytest.raises(MissingFile, match="holds no such file"):
            content(f"{archive}/{member}")


def test_what_is_a_folder_and_what_a_file(archive, tmp_path):
    assert is_archive(archive)
    assert is_folder(archive)
    assert is_folder(f"{archive}/a")
    assert is_folder(tmp_path)
    assert not is_folder(f"{archive}/a/1")
    assert split_archive(tmp_path / "x.zip" / "y") is None  # no such file
    (tmp_path / "folder.zip").mkdir()
    assert not is_archive(tmp_path / "folder.zip")


def test_a_member_is_on_disk_for_as_long_as_it_is_read(archive):
    with on_disk(f"{archive}/a/1") as path:
        assert Path(path).read_bytes() == b"one"
    assert not Path(path).exists()


def test_ordinary_files_are_opened_as_they_are(tmp_path):
    path = tmp_path / "plain"
    path.write_bytes(b"plain")
    assert content(path) == b"plain"
    with on_disk(str(path)) as same:
        assert same == str(path)


def test_a_damaged_archive_is_told(tmp_path):
    path = tmp_path / "broken.zip"
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(UnreadableImage, match="damaged"):
        members_below(path)


def test_a_damaged_directory_is_told_whatever_the_library_raises(tmp_path):
    archive = str(tmp_path / "small.zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/1", b"one")
        file.writestr("2", b"two")
    whole = Path(archive).read_bytes()
    end = whole.rindex(b"PK\x05\x06")
    told = 0
    for at in range(whole.index(b"PK\x01\x02"), end):
        Path(archive).write_bytes(whole[:at] + b"\xff\0\xff"[at % 3 :][:1] + whole[at + 1 :])
        os.utime(archive, ns=(at, at))
        try:
            for member in members_below(archive):
                content(member)
        except (UnreadableImage, UnsupportedImage, MissingFile) as error:
            assert str(error).startswith(archive)
            told += 1
    assert told > 20


def test_a_damaged_member_is_told(archive):
    whole = bytearray(Path(archive).read_bytes())
    with zipfile.ZipFile(io.BytesIO(bytes(whole))) as file:
        start = file.getinfo("3").header_offset
    whole[start + 36] ^= 0xFF
    Path(archive).write_bytes(whole)
    with pytest.raises(UnreadableImage, match="damaged in its archive"):
        content(f"{archive}/3")


def test_a_member_made_to_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.archives.LARGEST_MEMBER", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("large", bytes(1001))
    with pytest.raises(UnsupportedImage, match="too large"):
        content(tmp_path / "bomb.zip" / "large")


def test_a_member_that_is_compressed_in_a_rare_way_is_not_called_damaged(archive):
    with zipfile.ZipFile(archive) as file:
        entries = file.infolist()
    whole = bytearray(Path(archive).read_bytes())
    for entry in entries:
        whole[entry.header_offset + 8] = 9  # deflate64
    at = whole.find(b"PK\x01\x02")
    while at >= 0:
        whole[at + 10] = 9
        at = whole.find(b"PK\x01\x02", at + 1)
    Path(archive).write_bytes(whole)
    with pytest.raises(UnsupportedImage, match=r"/3: compressed in a way .* Unpack it first"):
        content(f"{archive}/3")


def test_an_encrypted_member_is_refused(archive):
    whole = bytearray(Path(archive).read_bytes())
    with zipfile.ZipFile(io.BytesIO(bytes(whole))) as file:
        last = file.infolist()[-1].filename
    whole[whole.rindex(b"PK\x01\x02") + 8] |= 1  # its flags in the directory
    Path(archive).write_bytes(whole)
    with pytest.raises(UnsupportedImage, match="encrypted"):
        content(f"{archive}/{last}")


def test_threads_read_one_archive_at_once(archive):
    failed = []

    def read():
        for _ in range(50):
            if content(f"{archive}/3") != b"three" * 1000:
                failed.append(1)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
