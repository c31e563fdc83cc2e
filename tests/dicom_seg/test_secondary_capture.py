"""Pictures with outlines for viewers that know no segmentations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from seg_phantoms import ALGORITHM, GEOMETRIES, phantom_film, write_ct, write_film, write_loop

from pipeline.dicom_seg import source_images, write_secondary_capture
from pipeline.dicom_seg.secondary_capture import orientation_letters
from pipeline.errors import NoPicture, UnsupportedImage
from pipeline.readers import read_picture, slices_in

SC_IMAGE = "1.2.840.10008.5.1.4.1.1.7"


def colours(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (width, height, 3), dtype=np.uint8)


def test_a_picture_comes_back_pixel_by_pixel_in_the_films_study(tmp_path: Path) -> None:
    source = write_film(tmp_path / "film.dcm", phantom_film())
    picture = colours(40, 33)
    write_secondary_capture(tmp_path / "sc.dcm", source_images(str(source)), 0, picture, ALGORITHM)
    sc, film = pydicom.dcmread(tmp_path / "sc.dcm"), pydicom.dcmread(source)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "sc.dcm")))[0], sc.pixel_array)
    np.testing.assert_array_equal(sc.pixel_array, picture.swapaxes(0, 1))
    assert (sc.SOPClassUID, sc.PhotometricInterpretation) == (SC_IMAGE, "RGB")
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "BurnedInAnnotation"):
        assert sc.get(keyword) == film.get(keyword)
    assert sc.PatientOrientation == ["L", "F"]
    (reference,) = sc.SourceImageSequence
    assert (reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID) == (
        film.SOPClassUID,
        film.SOPInstanceUID,
    )
    assert "cxr_lung_segmentation 1.2.3" in sc.DerivationDescription


def test_it_is_no_image_to_segment_but_that_of_a_scanner_is(tmp_path: Path) -> None:
    source = write_film(tmp_path / "film.dcm", phantom_film())
    file = tmp_path / "sc.dcm"
    write_secondary_capture(file, source_images(str(source)), 0, colours(40, 33), ALGORITHM)
    with pytest.raises(NoPicture, match="outlines by Planar"):
        slices_in(str(file))
    digitised = pydicom.dcmread(file)
    digitised.Manufacturer = "A maker of film scanners"
    digitised.save_as(file)
    assert read_picture(str(file)).array.shape == (40, 33, 3)


def test_slices_of_a_volume_are_one_series_in_order(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", GEOMETRIES["axial"])
    images = source_images(str(tmp_path / "ct"))
    made = []
    for number in range(images.grid.depth):
        write_secondary_capture(tmp_path / f"{number}.dcm", images, number, colours(22, 20), ALGORITHM)
        made.append(pydicom.dcmread(tmp_path / f"{number}.dcm"))
    assert len({sc.SeriesInstanceUID for sc in made}) == 1
    assert len({sc.SOPInstanceUID for sc in made}) == len(made)
    assert [sc.InstanceNumber for sc in made] == list(range(1, len(made) + 1))
    heights = {
        str(ds.SOPInstanceUID): ds.ImagePositionPatient[2] for ds in map(pydicom.dcmread, (tmp_path / "ct").iterdir())
    }
    order = [heights[str(sc.SourceImageSequence[0].ReferencedSOPInstanceUID)] for sc in made]
    assert order == sorted(order)


def test_a_frame_of_a_loop_is_named(tmp_path: Path) -> None:
    images = source_images(str(write_loop(tmp_path / "loop.dcm", phantom_film())))
    write_secondary_capture(tmp_path / "sc.dcm", images, 2, colours(9, 8), ALGORITHM)
    assert pydicom.dcmread(tmp_path / "sc.dcm").SourceImageSequence[0].ReferencedFrameNumber == 3


@pytest.mark.parametrize(
    ("geometry", "letters"),
    [
        ("axial", ["L", "P"]),
        ("flipped", ["L", "P"]),
        ("mirrored", ["L", "P"]),
        ("sagittal", ["P", "F"]),
        ("coronal", ["L", "F"]),
    ],
)
def test_the_sides_are_those_of_the_display(geometry: str, letters: list[str], tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", GEOMETRIES[geometry])
    assert orientation_letters(source_images(str(tmp_path / "ct"))) == letters


def test_an_oblique_slice_names_its_main_direction_first(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", GEOMETRIES["oblique"])
    row, column = orientation_letters(source_images(str(tmp_path / "ct")))
    assert (row[0], column[0]) == ("L", "P")
    assert len(row) == len(column) == 3


@pytest.mark.parametrize("said", [None, "", ["L"], ["X", "Y"]])
def test_a_film_that_does_not_say_its_sides_gets_none(said: object, tmp_path: Path) -> None:
    source = write_film(tmp_path / "film.dcm", phantom_film(), PatientOrientation=said)
    images = source_images(str(source))
    assert orientation_letters(images) == []
    write_secondary_capture(tmp_path / "sc.dcm", images, 0, colours(9, 8), ALGORITHM)
    assert not pydicom.dcmread(tmp_path / "sc.dcm").PatientOrientation


def test_what_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    images = source_images(str(write_film(tmp_path / "film.dcm", phantom_film())))
    with pytest.raises(UnsupportedImage, match=r"film\.dcm: no Secondary Capture"):
        write_secondary_capture(tmp_path / "sc.dcm", images, 0, np.zeros((4, 4, 2), np.uint8), ALGORITHM)
    assert not (tmp_path / "sc.dcm").exists()
