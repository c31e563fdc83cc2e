"""Files of one DICOM series become one volume, by place and never by name."""

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid
from reader_phantoms import CT_IMAGE, dicom_of, save_dicom, write_dicom, write_raster

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.readers import DicomSeries, group_series, read_grid, read_picture, read_series, slices_in, write_mask

AXIAL = (1, 0, 0, 0, 1, 0)
SERIES, OTHER_SERIES = generate_uid(), generate_uid()


def slice_pixels(number):
    return np.random.default_rng(number).integers(0, 2000, (5, 7)).astype(np.int16)


def write_slice(path, number, position, *, series=SERIES, cosines=AXIAL, **elements):
    ds = dicom_of(
        slice_pixels(number),
        sop_class=CT_IMAGE,
        SeriesInstanceUID=series,
        Modality="CT",
        InstanceNumber=number,
        ImageOrientationPatient=list(cosines),
        ImagePositionPatient=list(position),
        PixelSpacing=[0.5, 0.4],
        RescaleSlope=1,
        RescaleIntercept=-1000,
        **elements,
    )
    return save_dicom(ds, path)


@pytest.fixture
def shuffled(tmp_path):
    """Four axial slices, 2 mm apart, whose names and numbers say nothing of their order."""
    heights = {"d": 10, "b": 12, "c": 14, "a": 16}
    for number, (name, height) in enumerate(heights.items()):
        write_slice(tmp_path / name, (number * 7) % 4, (-3, -4, height))
    return tmp_path


def files_in(folder):
    return sorted(str(path) for path in folder.iterdir())


def test_slices_are_ordered_from_foot_to_head(shuffled):
    (series,) = group_series(files_in(shuffled))
    assert isinstance(series, DicomSeries)
    assert [name[-1] for name in series.files] == ["d", "b", "c", "a"]
    expected = np.diag([-0.4, -0.5, 2, 1])
    expected[:3, 3] = [3, 4, 10]
    np.testing.assert_allclose(series.grid.affine, expected)
    assert series.warnings == ()


def test_the_spacing_of_a_volume_is_turned_with_it(tmp_path):
    for number in range(3):
        write_slice(tmp_path / f"{number}", number, (0, 0, 2 * number), cosines=[0, 1, 0, 1, 0, 0])
    (series,) = group_series(files_in(tmp_path))
    picture = read_series(series)
    assert picture.array.shape == (5, 7, 3)
    assert picture.spacing_mm == (0.5, 0.4)
    np.testing.assert_allclose(picture.grid.spacing_mm, (0.5, 0.4))


def test_a_series_reads_as_one_volume_of_hounsfield_units(shuffled):
    (series,) = group_series(files_in(shuffled))
    volume = read_series(series)
    assert volume.array.dtype == np.int16
    for number, file in enumerate(series.files):
        np.testing.assert_array_equal(volume.array[:, :, number], read_picture(file).array)
    assert volume.spacing_mm == (0.4, 0.5)


def test_a_folder_is_its_series(shuffled):
    volume = read_picture(shuffled)
    assert volume.array.shape == (7, 5, 4)
    assert read_grid(shuffled).to_meta() == volume.grid.to_meta()
    names = slices_in(shuffled)
    assert names == [f"{shuffled}#slice={k}" for k in range(4)]
    for number, name in enumerate(names):
        one = read_picture(name)
        np.testing.assert_array_equal(one.array, volume.array[:, :, number])
        np.testing.assert_allclose(one.affine[:3, 3], (volume.affine @ [0, 0, number, 1])[:3])
        assert one.grid.frame == number


@pytest.mark.parametrize(
    "cosines", [(1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1), (0, -1, 0, 0, 0, 1), (-1, 0, 0, 0, 0.8, 0.6)]
)
def test_file_number_k_is_slice_k_in_every_orientation(tmp_path, cosines):
    normal = np.cross(cosines[:3], cosines[3:])
    for number in range(3):
        # Slices as thin as the pixels: nothing but the files says which axis is theirs.
        write_slice(tmp_path / f"{number}", number, normal * 0.4 * number, cosines=cosines)
    (series,) = group_series(files_in(tmp_path))
    volume = read_series(series)
    for number, file in enumerate(series.files):
        one = read_picture(file)
        np.testing.assert_array_equal(volume.array[:, :, number], one.array)
        np.testing.assert_allclose((volume.affine @ [0, 0, number, 1]), one.affine @ [0, 0, 0, 1], atol=1e-9)


def test_a_tilted_gantry_shears_the_affine(tmp_path):
    for number in range(3):
        write_slice(tmp_path / f"{number}", number, (0, number * 0.5, number * 2))
    (series,) = group_series(files_in(tmp_path))
    np.testing.assert_allclose(series.grid.affine[:3, 2], [0, -0.5, 2])
    volume = read_series(series)
    write_mask(np.zeros(volume.array.shape, np.uint8), volume, tmp_path / "mask.nii.gz")
    written = nib.load(tmp_path / "mask.nii.gz")
    # A quaternion cannot say it, and must not be taken for where the slices lie.
    assert (int(written.header["sform_code"]), int(written.header["qform_code"])) == (1, 0)
    np.testing.assert_allclose(written.affine, volume.grid.stored_affine, atol=1e-5)


def test_a_slice_is_turned_as_its_volume_is_where_slices_are_sheared_and_oblique(tmp_path):
    cosines = (-0.6938443, 0.7030103, -0.1560659, 0.1506879, -0.0701848, -0.9860868)
    for number in range(3):
        write_slice(tmp_path / f"{number}", number, np.array([-0.62, -0.75, -0.6]) * 2 * number, cosines=cosines)
    (series,) = group_series(files_in(tmp_path))
    for file in series.files:
        np.testing.assert_allclose(read_picture(file).affine[:3, :2], series.grid.affine[:3, :2], atol=1e-6)


def test_a_localiser_of_the_same_series_is_split_off_with_a_warning(shuffled):
    write_slice(shuffled / "localiser", 9, (0, 0, 0), cosines=(1, 0, 0, 0, 0, -1))
    series, localiser = group_series(files_in(shuffled))
    assert len(series.files) == 4
    assert localiser.endswith("localiser")
    assert "several orientations" in series.warnings[0]


def test_a_second_pass_over_the_same_places_is_a_volume_of_its_own(shuffled):
    for number in range(4):
        write_slice(shuffled / f"later{number}", 10 + number, (-3, -4, 10 + 2 * number))
    first, second = group_series(files_in(shuffled))
    assert [len(series.files) for series in (first, second)] == [4, 4]
    assert all("later" in name for name in second.files)
    assert "passes" in second.warnings[0]
    with pytest.raises(UnsupportedImage, match="2 DICOM volumes"):
        read_picture(shuffled)


def test_phases_at_other_places_are_volumes_of_their_own(tmp_path):
    for number in range(4):
        write_slice(tmp_path / f"early{number}", 2 * number, (0, 0, 2.0 * number), AcquisitionNumber=1)
        write_slice(tmp_path / f"late{number}", 2 * number + 1, (0, 0, 2.0 * number + 0.7), AcquisitionNumber=2)
    early, late = group_series(files_in(tmp_path))
    assert all("early" in name for name in early.files) and len(early.files) == 4
    assert all("late" in name for name in late.files) and len(late.files) == 4
    assert early.grid.affine[2, 2] == late.grid.affine[2, 2] == 2
    assert "phases" in early.warnings[0]


@pytest.mark.parametrize("lacking", [0, 2])
def test_a_phase_that_lacks_a_slice_does_not_take_another_phases(tmp_path, lacking):
    for number in range(5):
        write_slice(tmp_path / f"late{number}", 10 + number, (0, 0, 2.0 * number), AcquisitionNumber=2)
        if number != lacking:
            write_slice(tmp_path / f"early{number}", number, (0, 0, 2.0 * number), AcquisitionNumber=1)
    early, late = group_series(files_in(tmp_path))
    assert (len(early.files), len(late.files)) == (4, 5)
    assert all("early" in file for file in early.files)
    assert any("missing" in line for line in early.warnings) == (lacking == 2)


@pytest.mark.parametrize("tag", ["AcquisitionNumber", "TemporalPositionIdentifier"])
def test_phases_half_a_step_apart_are_told_or_told_apart(tmp_path, tag):
    for number in range(8):
        write_slice(tmp_path / f"{number}", number, (0, 0, 2.5 * number), **{tag: 1 + number % 2})
    volumes = group_series(files_in(tmp_path))
    # An acquisition may be every second slice; another time is another state of the patient.
    assert [len(series.files) for series in volumes] == ([8] if tag == "AcquisitionNumber" else [4, 4])
    assert any("lie between one another" in line for line in volumes[0].warnings) == (len(volumes) == 1)


@pytest.mark.parametrize("step", [2.5, 0.625])
def test_acquisitions_that_are_one_stack_are_so_with_a_slice_missing_or_rounded_places(tmp_path, step):
    for number in range(12):
        if number != 7 or step == 0.625:
            place = round(step * number, 1)
            write_slice(tmp_path / f"{number}", number, (0, 0, place), AcquisitionNumber=1 + number % 2)
    (series,) = group_series(files_in(tmp_path))
    assert len(series.files) == (11 if step == 2.5 else 12)


def test_copies_of_a_slice_that_is_no_volume_are_files_as_any_other(tmp_path):
    for name in ("a.dcm", "b.dcm", "c.dcm"):
        write_slice(tmp_path / name, 1, (0, 0, 10), SOPInstanceUID=SERIES)
    assert group_series(files_in(tmp_path)) == files_in(tmp_path)


def test_slices_that_share_one_instance_uid_are_no_copies(tmp_path):
    for number in range(4):
        write_slice(tmp_path / f"{number}", number, (0, 0, 2 * number), SOPInstanceUID="1.2.3")
    (series,) = group_series(files_in(tmp_path))
    assert len(series.files) == 4


def test_a_number_that_is_none_keeps_no_slice_out_of_its_volume(tmp_path):
    for number in range(4):
        write_slice(tmp_path / f"{number}", number, (0, 0, 2 * number), AcquisitionNumber=[3, 4])
    (series,) = group_series(files_in(tmp_path))
    assert len(series.files) == 4


def test_pixel_sizes_that_differ_by_rounding_are_of_one_volume(tmp_path):
    for number in range(4):
        path = write_slice(tmp_path / f"{number}", number, (0, 0, 2 * number))
        if number == 2:
            ds = pydicom.dcmread(path)
            ds.PixelSpacing = [0.5012, 0.4006]
            ds.save_as(path)
    (series,) = group_series(files_in(tmp_path))
    assert len(series.files) == 4


def test_slices_at_45_degrees_are_turned_as_their_volume_is(tmp_path):
    half = np.sqrt(0.5)
    for number in range(5):
        noise = 1e-5 * (-1) ** number
        cosines = (half + noise, half - noise, 0, -half + noise, half + noise, 0)
        write_slice(tmp_path / f"{number}", number, (0, 0, 2 * number), cosines=cosines)
    (series,) = group_series(files_in(tmp_path))
    for number, file in enumerate(series.files):
        alone = read_grid(file)
        assert (alone.axes, alone.flips[:2]) == (series.grid.axes, series.grid.flips[:2]), number


@pytest.mark.parametrize("of_each", [1, 3])
def test_acquisitions_of_stretches_or_of_slices_remain_one_volume(tmp_path, of_each):
    # A slice is missing too, so that the whole is no even stack.
    for number in (0, 1, 2, 3, 4, 5, 6, 8):
        write_slice(tmp_path / f"{number}", number, (0, 0, 2 * number), AcquisitionNumber=1 + number // of_each)
    (series,) = group_series(files_in(tmp_path))
    assert len(series.files) == 8


def test_a_missing_slice_is_told(tmp_path):
    for number in (0, 1, 2, 4):
        write_slice(tmp_path / f"{number}", number, (0, 0, 2 * number))
    (series,) = group_series(files_in(tmp_path))
    assert "2.00 to 4.00 mm" in series.warnings[0]
    assert series.grid.affine[2, 2] == pytest.approx(8 / 3)


def test_films_other_formats_and_broken_files_stay_where_they_were(shuffled):
    film = write_dicom(shuffled / "e_film.dcm", slice_pixels(0))
    picture = write_raster(shuffled / "f.png", np.zeros((3, 4), np.uint8))
    (shuffled / "g.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 40)
    broken = str(shuffled / "g.dcm")
    series, *rest = group_series(files_in(shuffled))
    assert len(series.files) == 4
    assert rest == [film, picture, broken]


def test_two_series_stay_apart(tmp_path):
    for number in range(4):
        write_slice(tmp_path / f"{number}", number, (0, 0, number), series=(SERIES, OTHER_SERIES)[number % 2])
    assert [len(series.files) for series in group_series(files_in(tmp_path))] == [2, 2]


def test_patients_who_were_given_one_series_uid_stay_apart(tmp_path):
    for number in range(6):
        write_slice(tmp_path / f"{number}", number, (0, 0, number), PatientID=f"P{number % 2}")
    for series in group_series(files_in(tmp_path)):
        assert len(series.files) == 3
        assert series.warnings == ()
        assert len({int(name[-1]) % 2 for name in series.files}) == 1


def test_a_folder_without_a_series_is_refused(tmp_path):
    write_raster(tmp_path / "a.png", np.zeros((3, 4), np.uint8))
    with pytest.raises(UnsupportedImage, match="no DICOM series"):
        read_picture(tmp_path)


def test_a_broken_slice_is_named(shuffled):
    (series,) = group_series(files_in(shuffled))
    broken = shuffled / "c"
    broken.write_bytes(broken.read_bytes()[:-30])
    with pytest.raises(UnreadableImage, match=r"/c: the DICOM file is damaged or cut short"):
        read_series(series)


def test_slices_without_a_series_uid_belong_to_their_folder(tmp_path):
    for number in range(4):
        path = tmp_path / "ab"[number % 2] / f"{number}"
        path.parent.mkdir(exist_ok=True)
        write_slice(path, number, (0, 0, number), series=None)
    files = [*files_in(tmp_path / "a"), *files_in(tmp_path / "b")]
    assert [series.folder for series in group_series(files)] == [str(tmp_path / "a"), str(tmp_path / "b")]
