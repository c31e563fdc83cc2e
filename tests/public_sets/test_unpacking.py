"""Archives that are damaged, or made to do harm."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from pipeline.errors import DownloadFailed
from pipeline.public_sets import unpack


def archive(folder: Path, **members: bytes) -> Path:
    """A zip archive; names have __ for a slash."""
    path = folder / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name.replace("__", "/"), content)
    return path


def test_files_are_unpacked_without_what_desktops_add(tmp_path: Path) -> None:
    path = archive(tmp_path, Set__a=b"a", Set__Masks__b=b"b")
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr("__MACOSX/Set/._a", b"x")
        packed.writestr("Set/Thumbs.db", b"x")
        packed.writestr("Set/empty/", b"")
    assert unpack(path, tmp_path / "files") == 2
    found = sorted(
        str(file.relative_to(tmp_path / "files")) for file in (tmp_path / "files").rglob("*") if file.is_file()
    )
    assert found == ["Set/Masks/b", "Set/a"]


def test_a_folder_that_is_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "old").write_text("x")
    unpack(archive(tmp_path, new=b"n"), tmp_path / "files")
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["new"]


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/etc/outside", "..\\outside", "C:/outside"])
def test_a_member_that_leads_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("fine", b"x")
        packed.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(DownloadFailed, match="leads out of the folder; nothing was unpacked"):
        unpack(path, tmp_path / "files")
    assert [entry.name for entry in tmp_path.iterdir()] == ["set.zip"]


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(link, b"/etc/passwd")
    with pytest.raises(DownloadFailed, match="'link' is a link"):
        unpack(path, tmp_path / "files")


def test_an_archive_that_is_made_to_fill_the_disk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="grows from"):
        unpack(archive(tmp_path, bomb=bytes(50_000_000)), tmp_path / "files")


def test_a_disk_without_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    usage = shutil.disk_usage(tmp_path)._replace(free=3)
    monkeypatch.setattr("pipeline.public_sets.unpacking.shutil.disk_usage", lambda path: usage)
    with pytest.raises(DownloadFailed, match="has room for 3"):
        unpack(archive(tmp_path, a=b"12345"), tmp_path / "files")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"<!DOCTYPE html><html>", "is no zip archive.*DOCTYPE"), (b"Rar!\x1a\x07\x01\x00", "RAR.*unar"), (b"", "no zip")],
)
def test_what_is_no_archive_is_told_by_how_it_begins(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(content)
    with pytest.raises(DownloadFailed, match=said):
        unpack(tmp_path / "set.zip", tmp_path / "files")


def test_an_archive_without_its_end_is_told_to_be_cut_short(tmp_path: Path) -> None:
    whole = archive(tmp_path, a=b"12345")
    whole.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(DownloadFailed, match="is cut short: it begins as a zip archive"):
        unpack(whole, tmp_path / "files")


def test_a_mask_of_32_bits_is_no_bomb(tmp_path: Path) -> None:
    assert unpack(archive(tmp_path, mask=bytes(4 * 1024 * 1024)), tmp_path / "files") == 1


def test_a_damaged_archive_leaves_nothing(tmp_path: Path) -> None:
    path = archive(tmp_path, a=b"a" * 1000, b=bytes(range(256)) * 40)
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(bytes(content))
    with pytest.raises(DownloadFailed, match="is damaged"):
        unpack(path, tmp_path / "files")
    assert [entry.name for entry in tmp_path.iterdir()] == ["set.zip"]
