"""What the DICOM files say, read by pydicom and by Planar's own reader."""

import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from pipeline.phantom import CtSeries, Label, Radiograph, ct_series, radiograph, thorax
from pipeline.phantom.dicom import ct_slices_bytes, film_bytes
from pipeline.readers import read_picture


@pytest.fixture(scope="module")
def film() -> Radiograph:
    return radiograph(thorax(1), seed=1, size=96)


@pytest.fixture(scope="module")
def series() -> CtSeries:
    return ct_series(thorax(1, opacity="none"), seed=1, size=96, slices=6)


def written(film: Radiograph, photometric: str) -> bytes:
    turned = replace(film, settings=replace(film.settings, photometric=photometric))
    return film_bytes(turned, subject="PHANTOM-00001", number=1, origin="test")


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_both_photometric_interpretations_show_the_film(film: Radiograph, photometric: str, tmp_path) -> None:
    content = written(film, photometric)
    ds = pydicom.dcmread(io.BytesIO(content))
    assert ds.PhotometricInterpretation == photometric
    shown = 255 - ds.pixel_array if photometric == "MONOCHROME1" else ds.pixel_array
    np.testing.assert_array_equal(shown, film.image.T)
    (tmp_path / "film.dcm").write_bytes(content)
    picture = read_picture(tmp_path / "film.dcm")
    np.testing.assert_array_equal(picture.array, film.image)
    assert picture.spacing_mm == pytest.approx((film.settings.spacing_mm,) * 2)


def test_a_film_says_in_its_header_that_it_is_a_phantom(film: Radiograph) -> None:
    ds = pydicom.dcmread(io.BytesIO(written(film, "MONOCHROME2")))
    assert str(ds.PatientName).startswith("PHANTOM^") and ds.PatientID == "PHANTOM-00001"
    assert ds.ImageType[0] == "DERIVED" and ds.BurnedInAnnotation == "YES"
    assert ds.ImageComments == ds.StudyDescription == "Digital phantom, not a patient"
    assert (ds.Modality, ds.SOPClassUID.name) == ("DX", "Digital X-Ray Image Storage - For Presentation")
    assert ds.PatientOrientation == ["L", "F"]


def test_ct_numbers_come_back_as_hounsfield_units_at_their_places(series: CtSeries) -> None:
    for number, content in enumerate(ct_slices_bytes(series, subject="PHANTOM-00001", origin="test"), start=1):
        ds = pydicom.dcmread(io.BytesIO(content))
        k = series.hu.shape[2] - number
        hu = ds.pixel_array.astype(int) * int(ds.RescaleSlope) + int(ds.RescaleIntercept)
        np.testing.assert_array_equal(hu, series.hu[:, :, k].T)
        labels = series.labels[:, :, k].T
        assert np.median(hu[labels == Label.BACKGROUND]) == pytest.approx(-1000, abs=3)
        if np.any(labels == Label.HEART):
            assert np.mean(hu[labels == Label.HEART]) == pytest.approx(42, abs=3)
        position = series.affine @ (0, 0, k, 1) * (-1, -1, 1, 1)
        np.testing.assert_allclose(np.array(ds.ImagePositionPatient, float), position[:3], atol=1e-6)
        assert list(map(float, ds.ImageOrientationPatient)) == [1, 0, 0, 0, 1, 0]
        assert ds.InstanceNumber == number


def test_the_series_reads_back_as_the_volume(series: CtSeries, tmp_path) -> None:
    for number, content in enumerate(ct_slices_bytes(series, subject="PHANTOM-00001", origin="test")):
        (tmp_path / f"{number}.dcm").write_bytes(content)
    for k in (0, 3):
        picture = read_picture(f"{tmp_path}#slice={k}")
        np.testing.assert_array_equal(picture.array, series.hu[:, :, k])
        np.testing.assert_allclose(picture.affine[:, :2], series.affine[:, :2], atol=1e-5)


def test_identifiers_are_unique_and_always_the_same(series: CtSeries, film: Radiograph) -> None:
    def read(origin: str) -> list[pydicom.Dataset]:
        files = [
            *ct_slices_bytes(series, subject="S", origin=origin),
            film_bytes(film, subject="S", number=1, origin=origin),
        ]
        return [pydicom.dcmread(io.BytesIO(content)) for content in files]

    first, again, other = (read(origin) for origin in ("a", "a", "b"))
    uids = [ds.SOPInstanceUID for ds in first]
    assert len(set(uids)) == len(uids) == 7
    assert uids == [ds.SOPInstanceUID for ds in again]
    assert not set(uids) & {ds.SOPInstanceUID for ds in other}
    assert len({ds.StudyInstanceUID for ds in first}) == 1
    assert len({ds.SeriesInstanceUID for ds in first}) == 2
    assert all(uid.is_valid for uid in uids)
