"""A file that is no pack is told in one line that says what it is and what was expected."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from pipeline.errors import InvalidPack, MissingFile
from pipeline.tasks.audit.verify import verify


def written(folder: Path, kind: str) -> Path:
    path = folder / ("notes.txt" if kind == "text" else "notes.zip")
    if kind in ("text", "renamed"):
        path.write_text("no pack")
    elif kind == "folder":
        path.mkdir()
    elif kind == "other zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("film.dcm", b"")
    elif kind == "other list":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("pack.json", b'{"format": "another"}')
    return path


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("text", "is no pack; expected the zip file of planar audit export, or the id of a run"),
        ("renamed", "is no zip file, or a damaged one"),
        ("folder", "is a folder; expected the zip file of planar audit export"),
        ("other zip", "is a zip file, but no pack: it has no pack.json"),
        ("other list", "the format is 'another', expected 'planar-pack/1'"),
    ],
)
def test_a_file_that_is_no_pack_is_one_clear_line(kind: str, told: str, tmp_path: Path) -> None:
    path = written(tmp_path, kind)
    with pytest.raises(InvalidPack, match=told) as caught:
        verify(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_pack_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="is not there; expected a pack of planar audit export"):
        verify(str(tmp_path / "nowhere.zip"))
