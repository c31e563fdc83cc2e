"""In an archive too, a header finds the file of its data beside it, and none elsewhere."""

import zipfile

import numpy as np
import pytest
from reader_phantoms import ramp, write_itk

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.readers import find_pictures, read_grid, read_picture, slices_in

MHD = "ObjectType = Image\nNDims = 2\nDimSize = 7 5\nElementType = MET_UCHAR\nElementDataFile = {}\n"
NHDR = "NRRD0004\ntype: uint8\nencoding: raw\ndimension: 2\nsizes: 7 5\ndata file: {}\n"
HEADERS = [("a.mhd", MHD), ("a.nhdr", NHDR)]


def archive_with(folder, members):
    path = folder / "study.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def pixels():
    return np.ascontiguousarray(ramp().T).tobytes()


@pytest.mark.parametrize(("name", "header"), HEADERS)
@pytest.mark.parametrize("folder", ["", "export/"])
@pytest.mark.parametrize("data", ["a.raw", "./a.raw", "data/a.raw"])
def test_the_data_file_of_a_header_is_found(tmp_path, name, header, folder, data):
    path = archive_with(tmp_path, {folder + name: header.format(data), folder + data.removeprefix("./"): pixels()})
    assert find_pictures([path]) == [f"{path}/{folder}{name}"]
    picture = read_picture(f"{path}/{folder}{name}")
    np.testing.assert_array_equal(picture.array, ramp())
    assert picture.path == f"{path}/{folder}{name}"
    assert read_grid(f"{path}/{folder}{name}").to_meta() == picture.grid.to_meta()


@pytest.mark.parametrize("ending", ["mhd", "nhdr"])
def test_a_volume_of_two_compressed_files_is_read_slice_by_slice(tmp_path, ending):
    volume = np.random.default_rng(0).integers(-9, 9, (6, 5, 4)).astype(np.int16)
    (tmp_path / "files").mkdir()
    write_itk(tmp_path / "files" / f"a.{ending}", volume, compress=True)
    files = list((tmp_path / "files").iterdir())
    assert len(files) == 2
    path = archive_with(tmp_path, {file.name: file.read_bytes() for file in files})
    assert slices_in(f"{path}/a.{ending}") == [f"{path}/a.{ending}#slice={k}" for k in range(4)]
    np.testing.assert_array_equal(read_picture(f"{path}/a.{ending}#slice=2").array, volume[:, :, 2])


@pytest.mark.parametrize(("name", "header"), HEADERS)
def test_no_header_in_an_archive_reads_files_outside(tmp_path, name, header):
    (tmp_path / "secret.raw").write_bytes(pixels())
    for data in (str(tmp_path / "secret.raw"), "../secret.raw", "b/../../secret.raw", "..\\secret.raw", "C:secret.raw"):
        path = archive_with(tmp_path, {name: header.format(data), "secret.raw": pixels()})
        with pytest.raises(UnsupportedImage, match=r"lies elsewhere\. Unpack the archive first") as caught:
            read_picture(f"{path}/{name}")
        assert str(caught.value).startswith(f"{path}/{name}: ")
        path.unlink()


@pytest.mark.parametrize(("name", "header"), HEADERS)
def test_a_data_file_that_is_not_in_the_archive_is_named(tmp_path, name, header):
    path = archive_with(tmp_path, {name: header.format("a.raw")})
    with pytest.raises(UnreadableImage, match=r"its data file a\.raw is not beside it\. Copy both") as caught:
        read_picture(f"{path}/{name}")
    assert str(caught.value).startswith(f"{path}/{name}: ")


@pytest.mark.parametrize(("name", "header"), HEADERS)
@pytest.mark.parametrize("data", ["LIST", "a%02d.raw 1 3 1"])
def test_data_in_several_files_are_to_be_unpacked(tmp_path, name, header, data):
    path = archive_with(tmp_path, {name: header.format(data)})
    with pytest.raises(UnsupportedImage, match=r"its data lie in several files\. Unpack the archive first"):
        read_picture(f"{path}/{name}")
