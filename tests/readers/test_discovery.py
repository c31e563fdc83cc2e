"""Which files a user means."""

import zipfile

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from reader_phantoms import dicom_of, in_syntax, ramp, save_dicom, write_dicom, write_raster

from pipeline.errors import MissingFile
from pipeline.readers import find_pictures, passed_over, read_picture


@pytest.fixture
def folder(tmp_path):
    for name in ("image10.png", "image2.png", "IMAGE1.PNG", "b/image3.jpg", "b/.hidden.png", ".cache/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_raster(tmp_path / name, ramp(), format="PNG" if name.lower().endswith("png") else "JPEG")
    write_dicom(tmp_path / "b" / "IM.1.2.840", ramp().T.copy())
    write_dicom(tmp_path / "DICOMDIR", ramp().T.copy())
    (tmp_path / "index.csv").write_text("file,mask\n")
    (tmp_path / "notes").write_text("no picture")
    return tmp_path


def names(found, folder):
    return [path[len(str(folder)) + 1 :] for path in found]


def test_a_folder_gives_its_pictures_in_natural_order(folder):
    assert names(find_pictures([folder]), folder) == [
        "b/IM.1.2.840",
        "b/image3.jpg",
        "IMAGE1.PNG",
        "image2.png",
        "image10.png",
    ]


def test_folders_within_are_left_out_on_request(folder):
    assert names(find_pictures([folder], recursive=False), folder) == ["IMAGE1.PNG", "image2.png", "image10.png"]


def test_globs_give_pictures_only(folder):
    assert names(find_pictures([f"{folder}/*"]), folder) == ["IMAGE1.PNG", "image2.png", "image10.png"]
    assert names(find_pictures([f"{folder}/**/image3*"]), folder) == ["b/image3.jpg"]


def test_a_named_file_is_taken_whatever_it_is(folder):
    assert names(find_pictures([folder / "notes", f"{folder}/image2.png#slice=0"]), folder) == [
        "notes",
        "image2.png#slice=0",
    ]


def test_a_name_with_brackets_that_is_there_is_no_glob(folder):
    (folder / "image2.png").rename(folder / "scan[1].png")
    assert names(find_pictures([folder / "scan[1].png"]), folder) == ["scan[1].png"]


def test_each_file_comes_once(folder):
    assert len(find_pictures([folder / "image2.png", folder])) == 5


def test_one_file_comes_once_whichever_way_it_is_named(folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = find_pictures(["./image2.png", "image2.png", "b/../image2.png", folder / "image2.png"])
    assert found == ["./image2.png"]


def test_a_slice_of_a_series_folder_is_that_slice_alone(folder):
    assert find_pictures([f"{folder}/b#slice=3"]) == [f"{folder}/b#slice=3"]


def test_a_folder_that_may_not_be_opened_is_told(folder, monkeypatch):
    def walk(top, onerror=None, **options):
        onerror(PermissionError(13, "Permission denied", f"{top}/b"))
        return iter(())

    monkeypatch.setattr("os.walk", walk)
    with pytest.raises(PermissionError, match="b"):
        find_pictures([folder])


def test_what_a_folder_holds_and_is_not_read_is_listed(folder):
    (folder / "b" / "film.webp").write_bytes(b"RIFF")
    (folder / "b" / "brain.hdr").write_bytes(b"\x5c\x01\x00\x00")
    (folder / ".hidden.gif").write_bytes(b"GIF")
    (folder / "linked").symlink_to(folder / "b")
    listed = {path[len(str(folder)) + 1 :]: reason for path, reason in passed_over([folder, folder / "image2.png"])}
    assert set(listed) == {"b/brain.hdr", "b/film.webp", "linked"}
    assert "not followed" in listed["linked"]
    assert listed["b/brain.hdr"].endswith("Convert it to NIfTI (.nii.gz)")


@pytest.mark.parametrize("missing", ["nothing.png", "*.tif", "empty"])
def test_an_input_without_pictures_is_an_error_that_names_it(folder, missing):
    (folder / "empty").mkdir()
    with pytest.raises(MissingFile, match=missing.replace("*", r"\*")):
        find_pictures([folder, folder / missing])


def test_an_empty_input_is_not_the_current_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(MissingFile, match="An input is empty"):
        find_pictures([""])
    assert find_pictures(["."])


def test_dicom_files_without_a_suffix_that_are_cut_short_are_not_passed_over(tmp_path):
    write_dicom(tmp_path / "IM1", ramp().T.copy())
    (tmp_path / "IM2").write_bytes((tmp_path / "IM1").read_bytes()[:100])
    (tmp_path / "IM3").touch()
    (tmp_path / "IM4").symlink_to(tmp_path / "nothing")
    (tmp_path / "VERSION").write_text("1.0")
    (tmp_path / "empty.log").touch()
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "LOCK").touch()
    assert names(find_pictures([tmp_path]), tmp_path) == ["IM1", "IM2", "IM3", "IM4"]


def test_an_archive_beside_pictures_is_told(folder):
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("x.png", b"")
    listed = {path[len(str(folder)) + 1 :]: reason for path, reason in passed_over([folder])}
    assert listed == {"more.zip": "an archive, not opened. Name it as an input"}


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (["JPCLN001.IMG", "JPCLN002.IMG", "notes.txt"], r"It holds 2 \.img files, which are not read: convert"),
        (["f.raw"], r"It holds 1 \.raw file, which is not read"),
        (["A", "B"], "It holds 2 files without suffix, which are"),
        ([".hidden.png"], "It holds no files"),
    ],
)
def test_a_folder_without_pictures_says_what_it_holds(tmp_path, held, said):
    for name in held:
        (tmp_path / name).write_bytes(b"raw pixels")
    with pytest.raises(MissingFile, match=rf"no pictures in this folder\. {said}"):
        find_pictures([tmp_path])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("name", ["IM1", "1.2.840.7", "im.dcm"])
def test_dicom_without_a_preamble_is_found_and_read(tmp_path, name, syntax):
    ds = in_syntax(dicom_of(ramp(dtype=np.uint16).T.copy()), syntax)
    whole = save_dicom(ds, tmp_path / "whole.dcm")
    content = (tmp_path / "whole.dcm").read_bytes()[132:]
    (tmp_path / name).write_bytes(content)
    if syntax != ExplicitVRLittleEndian:  # as old software writes it: no file meta information either
        first = b"\x08\x00\x16\x00" if syntax == ImplicitVRLittleEndian else b"\x00\x08\x00\x16"
        (tmp_path / name).write_bytes(content[content.index(first) :])
    assert set(names(find_pictures([tmp_path]), tmp_path)) == {name, "whole.dcm"}
    np.testing.assert_array_equal(read_picture(tmp_path / name).array, read_picture(whole).array)


@pytest.mark.parametrize(
    "content", [b"\x08\x00" + b"\xff" * 400, b"\x02\x00\x00\x00\x03\x00\x00\x00" * 40, b"\x08\x00"]
)
def test_other_files_without_a_suffix_stay_out(tmp_path, content):
    write_dicom(tmp_path / "IM1", ramp().T.copy())
    (tmp_path / "core").write_bytes(content.ljust(200, b"a") if len(content) > 2 else b"plain text " * 40)
    assert names(find_pictures([tmp_path]), tmp_path) == ["IM1"]


def test_what_an_archive_holds_beside_its_pictures_is_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("a.png", "more/inner.zip", "../out.png"):
            archive.writestr(name, b"x")
    assert names(find_pictures([tmp_path / "all.zip"]), tmp_path) == ["all.zip/a.png"]
    whole = str(tmp_path / "all.zip")
    assert passed_over([whole]) == [
        (f"{whole}/../out.png", "its path leads out of the archive; not read"),
        (f"{whole}/more/inner.zip", "an archive in an archive, not opened. Unpack it"),
    ]
    with zipfile.ZipFile(tmp_path / "nested.zip", "w") as archive:
        archive.write(whole, "all.zip")
    with pytest.raises(MissingFile, match=r"no pictures in this archive\. Unpack it: it holds archives"):
        find_pictures([tmp_path / "nested.zip"])


def test_gif_files_are_pictures(tmp_path):
    Image.fromarray(ramp()).save(tmp_path / "a.gif")
    assert names(find_pictures([tmp_path]), tmp_path) == ["a.gif"]
    assert passed_over([tmp_path]) == []
