"""A bad file gives one clear line that names it, and never half a picture."""

import os
import sys
import threading
import warnings

import nibabel as nib
import numpy as np
import pytest
from pydicom.uid import RLELossless
from reader_phantoms import dicom_of, ramp, save_dicom, write_dicom, write_itk, write_raster

from pipeline.errors import MissingFile, UnreadableImage, UnsupportedImage
from pipeline.readers import read_grid, read_picture, readable_slices
from pipeline.readers.quiet import quiet_libraries

SUFFIXES = ["png", "jpg", "bmp", "tif", "dcm", "nii", "nii.gz", "mha", "mhd", "nrrd"]


def rle(path):
    ds = dicom_of(ramp(64, 48, np.uint16))
    ds.compress(RLELossless)
    return save_dicom(ds, path)


WHOLE = {
    "png": lambda path: write_raster(path, ramp(64, 48)),
    "jpg": lambda path: write_raster(path, ramp(64, 48)),
    "bmp": lambda path: write_raster(path, ramp(64, 48)),
    "tif": lambda path: write_raster(path, ramp(64, 48, np.float32)),
    "lzw.tif": lambda path: write_raster(path, ramp(64, 48), compression="tiff_lzw"),
    "dcm": lambda path: write_dicom(path, ramp(64, 48, np.uint16)),
    "rle.dcm": rle,
    "nii": lambda path: write_itk(path, ramp(64, 48)),
    "nii.gz": lambda path: write_itk(path, ramp(64, 48)),
    "mha": lambda path: write_itk(path, ramp(64, 48)),
    "compressed.mha": lambda path: write_itk(path, ramp(64, 48), compress=True),
    "nrrd": lambda path: write_itk(path, ramp(64, 48)),
    "compressed.nrrd": lambda path: write_itk(path, ramp(64, 48), compress=True),
}


def the_line(error, path):
    """The message, which must be one line that begins with the path."""
    line = str(error.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    assert len(line) - len(str(path)) < 250
    return line


@pytest.mark.parametrize("part", [0.1, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("suffix", list(WHOLE))
def test_a_file_cut_short_is_unreadable(tmp_path, suffix, part, capfd):
    path = tmp_path / f"whole.{suffix}"
    WHOLE[suffix](path)
    read_picture(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(UnreadableImage) as error:
        read_picture(path)
    the_line(error, path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file_says_that_it_is_empty(tmp_path, suffix):
    path = tmp_path / f"empty.{suffix}"
    path.touch()
    with pytest.raises(UnreadableImage) as error:
        read_picture(path)
    assert "the file is empty" in the_line(error, path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_text_under_the_name_of_a_picture_is_told(tmp_path, suffix):
    path = tmp_path / f"text.{suffix}"
    path.write_text("Dear colleague, please find attached " * 20)
    with pytest.raises(UnreadableImage) as error:
        read_picture(path)
    assert "b'Dear colleag'" in the_line(error, path)


@pytest.mark.parametrize("name", ["report.pdf", "animation.webp", "noname"])
def test_other_formats_are_unsupported(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"RIFF" + b"\1" * 400)
    with pytest.raises(UnsupportedImage) as error:
        read_picture(path)
    assert "Planar reads DICOM" in the_line(error, path)


def test_a_missing_file_is_missing(tmp_path):
    for ask in (read_picture, read_grid):
        with pytest.raises(MissingFile, match="no such file"):
            ask(tmp_path / "nothing.png")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_keeps_the_words_of_the_system(tmp_path):
    path = tmp_path / "forbidden.png"
    write_raster(path, ramp())
    path.chmod(0)
    with pytest.raises(PermissionError):
        read_picture(path)


def test_damaged_bytes_in_the_middle_of_a_compressed_nifti_are_noticed(tmp_path):
    path = tmp_path / "damaged.nii.gz"
    write_itk(path, ramp(64, 48))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(UnreadableImage) as error:
        read_picture(path)
    the_line(error, path)


def test_an_mhd_without_its_data_file_names_it(tmp_path):
    path = tmp_path / "header.mhd"
    write_itk(path, ramp())
    (tmp_path / "header.raw").unlink()
    with pytest.raises(UnreadableImage, match=r"its data file header\.raw is not beside it"):
        read_picture(path)


def test_an_nhdr_without_its_data_file_names_it(tmp_path):
    (tmp_path / "header.nhdr").write_text("NRRD0004\ntype: uint8\ndimension: 2\nsizes: 7 5\ndata file: header.raw\n")
    with pytest.raises(UnreadableImage, match=r"its data file header\.raw is not beside it"):
        read_picture(tmp_path / "header.nhdr")


@pytest.mark.parametrize("number", [4, 99])
def test_a_slice_that_is_not_there_is_told_with_their_number(tmp_path, number):
    path = write_itk(tmp_path / "volume.mha", np.zeros((6, 5, 4), np.int16))
    for ask in (read_picture, read_grid):
        with pytest.raises(UnsupportedImage, match=f"no slice {number}: it has 4"):
            ask(f"{path}#slice={number}")


def test_time_series_and_vectors_are_refused(tmp_path):
    path = tmp_path / "series.nii"
    nib.save(nib.Nifti1Image(np.zeros((6, 5, 4, 3), np.int16), np.eye(4)), path)
    with pytest.raises(UnsupportedImage, match="6×5×4×3"):
        read_picture(path)
    vectors = write_itk(tmp_path / "vectors.mha", np.zeros((6, 5, 4, 2), np.float32), vector=True)
    with pytest.raises(UnsupportedImage, match="2 channels"):
        read_picture(vectors)


def test_a_singular_affine_is_refused_by_name(tmp_path):
    path = tmp_path / "flat.nii"
    image = nib.Nifti1Image(np.zeros((6, 5, 4), np.int16), None)
    image.header["sform_code"] = 1
    nib.save(image, path)
    with pytest.raises(UnsupportedImage) as error:
        read_picture(path)
    assert "singular" in the_line(error, path)


def test_library_warnings_stay_out_and_the_filters_come_back():
    before = warnings.filters[:]
    inside, leave = threading.Event(), threading.Event()

    def overlap():
        with quiet_libraries():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=overlap)
    with quiet_libraries():
        thread.start()
        inside.wait()
        warnings.warn("nothing a user can act upon", UserWarning, stacklevel=1)
    leave.set()
    thread.join()
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="heard again"):
        warnings.warn("heard again", UserWarning, stacklevel=1)


def test_of_a_folder_for_the_stock_command_bad_files_are_left_out_with_a_word(tmp_path, caplog):
    write_raster(tmp_path / "a.png", ramp())
    (tmp_path / "b.png").touch()
    names = [str(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    assert readable_slices(names) == names[:1]
    told = [record.getMessage() for record in caplog.records if record.name.startswith("pipeline")]
    assert len(told) == 2
    assert all(message.startswith("Left out: ") for message in told)
    assert "b.png: the file is empty" in told[0]
