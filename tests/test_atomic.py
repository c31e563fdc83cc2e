from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pipeline.atomic import replace_folder, write_text_aside, written_aside


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_under_its_name_when_the_block_ends(tmp_path: Path) -> None:
    with written_aside(tmp_path / "new" / "mask.nii.gz") as aside:
        aside.write_bytes(b"1")
        assert aside.parent == tmp_path / "new"
        assert aside.name.startswith(".")
        assert aside.name.endswith("mask.nii.gz")
        assert not (tmp_path / "new" / "mask.nii.gz").exists()
    assert names(tmp_path / "new") == ["mask.nii.gz"]


@pytest.mark.parametrize("stop", [RuntimeError("full"), KeyboardInterrupt()])
def test_a_block_that_fails_leaves_the_former_file_and_nothing_else(tmp_path: Path, stop: BaseException) -> None:
    path = tmp_path / "table.csv"
    path.write_text("former")

    def write_half() -> None:
        with written_aside(path) as aside:
            aside.write_text("hal")
            raise stop

    with pytest.raises(type(stop)):
        write_half()
    assert names(tmp_path) == ["table.csv"]
    assert path.read_text() == "former"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS])
def test_a_disk_that_takes_no_more_is_told_with_the_final_name(tmp_path: Path, number: int) -> None:
    with pytest.raises(OSError) as caught, written_aside(tmp_path / "last.pt") as aside:
        aside.write_text("hal")
        raise OSError(number, "no more")
    assert (caught.value.errno, caught.value.filename) == (number, str(tmp_path / "last.pt"))
    assert names(tmp_path) == []


def test_a_connection_that_breaks_while_a_file_is_written_is_not_the_files(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError) as caught, written_aside(tmp_path / "set.zip"):
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    assert caught.value.filename is None


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_aside(tmp_path / "a.csv"):
        pass
    assert names(tmp_path) == []


def test_text_is_utf8_and_replaces_the_former(tmp_path: Path) -> None:
    write_text_aside(tmp_path / "a.json", "old")
    write_text_aside(tmp_path / "a.json", "Größe µm\n")
    assert (tmp_path / "a.json").read_bytes() == "Größe µm\n".encode()
    assert names(tmp_path) == ["a.json"]


def test_a_folder_of_the_final_name_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OSError) as caught:
        write_text_aside(tmp_path / "out", "x")
    assert caught.value.filename2 == str(tmp_path / "out")
    assert names(tmp_path) == ["out"]


def folder_with(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "a.txt").write_text(content)
    return path


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    final = tmp_path / "bundle"
    for content in ("first", "second"):
        replace_folder(folder_with(tmp_path / "new", content), final)
        assert (final / "a.txt").read_text() == content
        assert names(tmp_path) == ["bundle"]


@pytest.mark.parametrize("stop", [OSError("full"), KeyboardInterrupt()])
def test_a_replacement_that_fails_half_way_leaves_the_former_folder(
    tmp_path: Path, stop: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    final, new = folder_with(tmp_path / "bundle", "former"), folder_with(tmp_path / "new", "new")
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path == new:
            raise stop
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(type(stop)):
        replace_folder(new, final)
    assert (final / "a.txt").read_text() == "former"
    assert names(tmp_path) == ["bundle", "new"]
