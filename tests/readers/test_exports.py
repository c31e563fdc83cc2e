"""What archives and CDs export: zip files, DICOMDIR, folders without suffixes, copies, several series in a folder."""

import shutil
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from reader_phantoms import CT_IMAGE, dicom_of, item, ramp, save_dicom, write_dicom, write_itk, write_raster

from pipeline.errors import MissingFile, UnreadableImage, UnsupportedImage
from pipeline.readers import (
    DicomSeries,
    find_pictures,
    group_series,
    read_grid,
    read_picture,
    read_series,
    slices_in,
)

SERIES = generate_uid()


def write_slice(path, number, *, height=None, **elements):
    pixels = np.random.default_rng(number).integers(0, 2000, (5, 7)).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    usual = {
        "SeriesInstanceUID": SERIES,
        "InstanceNumber": number,
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [0, 0, 2 * number if height is None else height],
        "PixelSpacing": [0.5, 0.4],
    }
    return save_dicom(dicom_of(pixels, sop_class=CT_IMAGE, **(usual | elements)), path)


@pytest.fixture
def export(tmp_path):
    """A folder as an archive exports it: no suffixes, no order in the names."""
    for number, name in enumerate(("Z9", "A1", "M5", "B2")):
        write_slice(tmp_path / "export" / "DICOM" / "S1" / name, number)
    (tmp_path / "export" / "DICOM" / "S2").mkdir()
    write_dicom(tmp_path / "export" / "DICOM" / "S2" / "FILM", ramp(dtype=np.uint16).T.copy(), PixelSpacing=[1, 1])
    write_raster(tmp_path / "export" / "logo.png", ramp())
    (tmp_path / "export" / "autorun.inf").write_text("[autorun]")
    return tmp_path / "export"


def zipped(folder):
    return shutil.make_archive(str(folder), "zip", folder)


def test_an_archive_holds_what_its_folder_holds(export):
    archive = zipped(export)
    inside = [path[len(archive) :] for path in find_pictures([archive])]
    assert inside == [path[len(str(export)) :] for path in find_pictures([export])]
    for member, file in zip(find_pictures([archive]), find_pictures([export]), strict=True):
        read, expected = read_picture(member), read_picture(file)
        np.testing.assert_array_equal(read.array, expected.array)
        assert read.path == member
        assert read.grid.to_meta() == expected.grid.to_meta() == read_grid(member).to_meta()


def test_a_series_in_an_archive_is_one_volume(export):
    archive = zipped(export)
    (series,) = [entry for entry in group_series(find_pictures([archive])) if isinstance(entry, DicomSeries)]
    expected = read_picture(export / "DICOM" / "S1")
    np.testing.assert_array_equal(read_series(series).array, expected.array)
    np.testing.assert_array_equal(read_picture(f"{archive}/DICOM/S1").array, expected.array)
    np.testing.assert_array_equal(read_picture(f"{archive}/DICOM/S1#slice=2").array, expected.array[:, :, 2])
    assert slices_in(f"{archive}/DICOM/S1") == [f"{archive}/DICOM/S1#slice={k}" for k in range(4)]


def test_other_formats_are_read_in_an_archive_too(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    volume = np.random.default_rng(0).integers(0, 99, (6, 5, 4)).astype(np.int16)
    write_itk(folder / "volume.mha", volume)
    nib.save(nib.Nifti1Image(volume, np.diag([1.0, 1, 2, 1])), folder / "volume.nii.gz")
    write_raster(folder / "photo.png", ramp())
    archive = zipped(folder)
    for name in ("volume.mha", "volume.nii.gz", "photo.png"):
        read = read_picture(f"{archive}/{name}")
        np.testing.assert_array_equal(read.array, read_picture(folder / name).array)
    np.testing.assert_array_equal(read_picture(f"{archive}/volume.mha#slice=1").array, volume[:, :, 1])


def test_errors_in_an_archive_name_the_member(export):
    broken = export / "DICOM" / "S1" / "M5"
    broken.write_bytes(broken.read_bytes()[:-30])
    (export / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    archive = zipped(export)
    for member in ("DICOM/S1/M5", "logo.png"):
        with pytest.raises(UnreadableImage) as error:
            read_picture(f"{archive}/{member}")
        assert str(error.value).startswith(f"{archive}/{member}: ")
        assert "planar-" not in str(error.value)


def test_hidden_members_are_left_out_and_an_empty_archive_is_told(tmp_path):
    path = tmp_path / "mac.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("__MACOSX/._photo.png", b"x")
        file.writestr(".hidden/photo.png", b"x")
    with pytest.raises(MissingFile, match="no pictures in this archive"):
        find_pictures([path])


def test_archives_in_a_folder_without_pictures_are_told(export):
    zipped(export)
    (export.parent / "only").mkdir()
    shutil.move(f"{export}.zip", export.parent / "only" / "study.zip")
    with pytest.raises(MissingFile, match="Name its 1 zip archive to read what is in them"):
        find_pictures([export.parent / "only"])


# DICOMDIR.


def write_dicomdir(folder, names):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.FileSetID = "EXPORT"
    patient = item(DirectoryRecordType="PATIENT", PatientID="Phantom")
    ds.DirectoryRecordSequence = [
        patient,
        *(item(DirectoryRecordType="IMAGE", ReferencedFileID=name.split("/")) for name in names),
    ]
    return save_dicom(ds, folder / "DICOMDIR")


def test_a_dicomdir_stands_for_the_files_it_lists(export):
    path = write_dicomdir(export, ["DICOM/S1/A1", "DICOM/S1/B2"])
    assert find_pictures([path]) == [str(export / "DICOM/S1/A1"), str(export / "DICOM/S1/B2")]


def test_a_file_that_a_dicomdir_lists_and_that_is_gone_is_told(export):
    path = write_dicomdir(export, ["DICOM/S1/A1", "DICOM/S1/LOST"])
    lost = find_pictures([path])[1]
    with pytest.raises(MissingFile, match="LOST"):
        read_picture(lost)


def test_copies_in_lower_case_are_found(export):
    (export / "DICOM").rename(export / "dicom")
    path = write_dicomdir(export, ["DICOM/S1/A1"])
    (export / "dicom" / "S1").rename(export / "dicom" / "s1")
    (export / "dicom" / "s1" / "A1").rename(export / "dicom" / "s1" / "a1")
    (found,) = find_pictures([path])
    assert Path(found).exists()


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_a_dicomdir_does_not_lead_out_of_its_folder(export):
    path = write_dicomdir(export, ["../../ETC/PASSWD", "/ETC/PASSWD"])
    with pytest.raises(MissingFile, match="lists no images"):
        find_pictures([path])


def test_a_dicomdir_is_no_image_and_something_else_is_no_dicomdir(export):
    path = write_dicomdir(export, ["DICOM/S1/A1"])
    with pytest.raises(UnsupportedImage, match="lists images and holds none"):
        read_picture(path)
    (export / "other").mkdir()
    write_slice(export / "other" / "DICOMDIR", 1)
    with pytest.raises(UnreadableImage, match="not a DICOMDIR"):
        find_pictures([export / "other" / "DICOMDIR"])


# Series with more in them than one volume.


def folder_files(folder):
    return sorted(str(path) for path in folder.iterdir())


def test_a_copy_of_a_slice_is_left_out_and_told(export):
    folder = export / "DICOM" / "S1"
    shutil.copy(folder / "A1", folder / "A1 (copy)")
    (series,) = group_series(folder_files(folder))
    assert len(series.files) == 4
    assert any("copies of a slice" in line and "A1 (copy)" in line for line in series.warnings)


def test_a_second_slice_at_one_place_is_told_and_stays_alone(export):
    folder = export / "DICOM" / "S1"
    write_slice(folder / "again", 9, height=4)
    series, alone = group_series(folder_files(folder))
    assert len(series.files) == 4
    assert alone.endswith("again")
    assert any("1 slices in second or later passes" in line for line in series.warnings)


def test_phases_are_told_apart_by_their_acquisition(export):
    folder = export / "DICOM" / "phases"
    for number in range(6):
        # Numbers run place by place, the phases in turn.
        write_slice(folder / f"{number}", number, height=number // 2, AcquisitionNumber=1 + number % 2)
    first, second = group_series(folder_files(folder))
    assert [int(Path(file).name) for file in first.files] == [0, 2, 4]
    assert [int(Path(file).name) for file in second.files] == [1, 3, 5]


def test_several_frames_of_reference_are_told(export):
    folder = export / "DICOM" / "frames"
    for number in range(3):
        write_slice(folder / f"{number}", number, FrameOfReferenceUID=f"1.2.{number}")
    (series,) = group_series(folder_files(folder))
    assert any("frames of reference" in line for line in series.warnings)


def test_a_tilted_gantry_is_told(export):
    folder = export / "DICOM" / "tilted"
    for number in range(4):
        write_slice(folder / f"{number}", number, ImagePositionPatient=[0, number * 0.5, number * 2])
    (series,) = group_series(folder_files(folder))
    assert any("tilted by 14.0°" in line for line in series.warnings)
    assert any("tilted" in line for line in read_picture(folder).warnings)


def test_what_else_lies_in_the_folder_of_a_volume_is_told(export):
    folder = export / "DICOM" / "S1"
    write_slice(folder / "scout", 50, ImageOrientationPatient=[1, 0, 0, 0, 0, -1], SeriesInstanceUID=generate_uid())
    assert any("scout, left out" in line for line in read_picture(folder).warnings)


def test_many_planes_of_one_series_are_grouped_in_no_time(tmp_path):
    import time

    from pipeline.readers.series import _Series
    from pipeline.readers.slice_header import SliceHeader

    angles = np.linspace(0, np.pi, 4000)
    headers = [
        SliceHeader(f"{k}", f"1.{k}", "s", "", (7, 5), (np.cos(a), np.sin(a), 0, 0, 0, -1), np.zeros(3), None, (0, k))
        for k, a in enumerate(angles)
    ]
    series, began = _Series(), time.process_time()
    for header in headers:
        series.group_of(header)[0].add(header)
    assert time.process_time() - began < 5
    assert len(series.groups) > 500
