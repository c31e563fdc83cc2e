"""Labels as clients send them: each on the grid of its image, with the numbers of the bundle's classes."""

from __future__ import annotations

import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from pipeline.errors import GeometryMismatch, UnknownLabel
from pipeline.label_app.incoming import names_of, read_label, renumbered
from pipeline.phantom import CtSeries, radiograph, thorax
from pipeline.phantom.dicom import ct_slices_bytes, film_bytes
from pipeline.readers import Picture, group_series, read_picture, read_series, write_mask

# Sagittal and as fine along every axis: what its shape says of its slices is wrong.
SAGITTAL = np.array([[0, 0, 1.0, -3], [-1, 0, 0, 11], [0, -1, 0, 9], [0, 0, 0, 1]])
AXIAL = np.array([[-0.8, 0, 0, 40], [0, -0.8, 0, 30], [0, 0, 5, -100], [0, 0, 0, 1.0]])


def blobs(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 4, shape).astype(np.uint8)


@pytest.fixture(params=["axial", "sagittal"])
def volume(request: pytest.FixtureRequest, tmp_path: Path) -> Picture:
    affine = {"axial": AXIAL, "sagittal": SAGITTAL}[request.param]
    series = CtSeries(blobs((7, 6, 5)).astype(np.int16), blobs((7, 6, 5)), affine, 0.0)
    (tmp_path / "ct").mkdir()
    files = []
    for number, content in enumerate(ct_slices_bytes(series, subject="PHANTOM-1", origin="t")):
        files.append(tmp_path / "ct" / f"{number}.dcm")
        files[-1].write_bytes(content)
    (found,) = group_series(map(str, files))
    return read_series(found)


@pytest.fixture
def film(tmp_path: Path) -> Picture:
    picture = radiograph(thorax(1), seed=1, size=24)
    (tmp_path / "film.dcm").write_bytes(film_bytes(picture, subject="PHANTOM-1", number=1, origin="t"))
    return read_picture(tmp_path / "film.dcm")


def reoriented(array: np.ndarray, affine: np.ndarray, axes: str) -> nib.Nifti1Image:
    image = nib.Nifti1Image(array, affine)
    return image.as_reoriented(
        nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(axes))
    )


@pytest.mark.parametrize("axes", ["LPS", "RAS", "SRA", "PIL"])
def test_a_volume_comes_back_however_the_client_turned_it(volume: Picture, tmp_path: Path, axes: str) -> None:
    drawn = blobs(volume.grid.display_shape)
    image = reoriented(volume.grid.to_source(drawn), volume.grid.stored_affine, axes)
    nib.save(image, tmp_path / "label.nii.gz")
    np.testing.assert_array_equal(read_label(tmp_path / "label.nii.gz", volume, "ct"), drawn)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_what_we_wrote_is_read_back(volume: Picture, tmp_path: Path, suffix: str) -> None:
    drawn = blobs(volume.grid.display_shape)
    write_mask(drawn, volume, tmp_path / f"label{suffix}")
    np.testing.assert_array_equal(read_label(tmp_path / f"label{suffix}", volume, "ct"), drawn)


def test_the_bare_voxels_of_ohif_run_along_the_files_rows(volume: Picture, tmp_path: Path) -> None:
    drawn = blobs(volume.grid.display_shape)
    stored = volume.grid.to_source(drawn)
    (tmp_path / "label.bin").write_bytes(stored.tobytes(order="F"))
    np.testing.assert_array_equal(read_label(tmp_path / "label.bin", volume, "ct"), drawn)
    (tmp_path / "short.bin").write_bytes(stored.tobytes()[:-1])
    with pytest.raises(GeometryMismatch, match="voxels"):
        read_label(tmp_path / "short.bin", volume, "ct")


def test_a_label_that_lies_elsewhere_is_refused(volume: Picture, tmp_path: Path) -> None:
    affine = volume.grid.stored_affine.copy()
    affine[0, 3] += 3
    nib.save(nib.Nifti1Image(np.zeros(volume.grid.shape, np.uint8), affine), tmp_path / "label.nii.gz")
    with pytest.raises(GeometryMismatch, match=r"3\.0 mm from its image"):
        read_label(tmp_path / "label.nii.gz", volume, "ct")


def test_a_film_is_drawn_on_as_slicer_shows_its_picture(tmp_path: Path) -> None:
    """3D Slicer reads a PNG with ITK, and saves what was drawn on it as NIfTI."""
    drawn = blobs((6, 4))
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "film.png")
    shown = sitk.JoinSeries(sitk.ReadImage(str(tmp_path / "film.png")))
    label = sitk.GetImageFromArray(drawn.T[np.newaxis])
    label.CopyInformation(shown)
    sitk.WriteImage(label, str(tmp_path / "label.nii.gz"))
    np.testing.assert_array_equal(
        read_label(tmp_path / "label.nii.gz", read_picture(tmp_path / "film.png"), "f"), drawn
    )


def test_a_png_is_the_label_of_a_dicom_film_as_viewers_show_it(film: Picture, tmp_path: Path) -> None:
    drawn = blobs(film.grid.display_shape)
    Image.fromarray(np.ascontiguousarray(drawn.T)).save(tmp_path / "label.png")
    np.testing.assert_array_equal(read_label(tmp_path / "label.png", film, "film"), drawn)
    Image.fromarray(drawn.T[:-1].copy()).save(tmp_path / "other.png")
    with pytest.raises(GeometryMismatch, match=r"×23, its image \d+×24"):
        read_label(tmp_path / "other.png", film, "film")


def test_names_of_segments_come_with_their_values_or_in_order() -> None:
    slicer = [{"name": "left lung", "idx": 2}, {"name": "heart", "idx": 5}]
    assert names_of(slicer) == {"2": "left lung", "5": "heart"}
    assert names_of([{"name": "lung"}, {"name": ""}, {"name": "heart"}]) == {"1": "lung", "3": "heart"}
    assert names_of(None) == names_of("lung") == {}


def test_values_become_the_classes_of_their_names() -> None:
    labels = {0: "background", 1: "right_lung", 2: "left_lung"}
    mask = np.array([[0, 1, 2]], np.uint8)
    # The first segment was deleted, and the others have moved up.
    np.testing.assert_array_equal(renumbered(mask, {"1": "Left Lung"}, labels, "a"), [[0, 2, 2]])
    np.testing.assert_array_equal(renumbered(mask, {}, labels, "a"), mask)
    with pytest.raises(UnknownLabel, match="holds 'heart'; the bundle's classes are 0 background, 1 right_lung"):
        renumbered(mask, {"1": "heart"}, labels, "a")
    with pytest.raises(UnknownLabel, match="the value 2"):
        renumbered(mask, {}, {0: "background", 1: "lung"}, "a")


def test_fractions_are_no_label(film: Picture, tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.fromarray(np.full((24, 24), 0.5, np.float32)).save(out, format="TIFF")
    (tmp_path / "label.tif").write_bytes(out.getvalue())
    with pytest.raises(UnknownLabel):
        read_label(tmp_path / "label.tif", film, "film")
