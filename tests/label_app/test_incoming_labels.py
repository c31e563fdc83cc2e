"""Labels as clients send them: each on the grid of its image, with the numbers of the bundle's classes."""

from __future__ import annotations

import io
import re
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

ROOT = Path(__file__).parents[2]
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


@pytest.mark.label
def test_a_label_is_saved_with_the_numbers_of_the_classes(tmp_path: Path) -> None:
    """Slicer numbers what there is: where the lung was deleted, the heart is 1."""
    from pipeline.label_app.folder import FolderOfImages

    studies = tmp_path / "studies"
    studies.mkdir()
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(studies / "film.png")
    classes = {0: "background", 1: "lung", 2: "heart"}
    images = FolderOfImages(studies, tmp_path / "cache", classes)
    images.list_images()
    for drawn, said, values, names in (
        ([1], {1: "Heart"}, [2], {"2": "heart"}),
        ([1, 2], {1: "heart", 2: "lung"}, [2, 1], {"1": "lung", "2": "heart"}),
        ([3], {3: "rib"}, [3], {"3": "rib"}),  # no class: as it was drawn
        ([1, 3], {1: "heart", 3: "rib"}, [1, 3], {"1": "heart", "3": "rib"}),
        ([1, 2], {1: "heart"}, [1, 2], {"1": "heart"}),  # nobody knows whether 2 is the heart
        ([2], {}, [2], {}),
    ):
        mask = np.zeros((4, 6), np.uint8)
        mask[0, : len(drawn)] = drawn
        Image.fromarray(mask).save(tmp_path / "drawn.png")
        info = {"label_info": [{"name": name, "idx": value} for value, name in said.items()]}
        images.save_label("film", str(tmp_path / "drawn.png"), "final", info)
        saved = np.asarray(Image.open(images.get_label_uri("film", "final")))
        assert (saved[0, : len(drawn)].tolist(), images.labels.of("film").names) == (values, names)


@pytest.mark.label
def test_the_documented_pattern_pairs_films_in_folders_with_their_labels(tmp_path: Path) -> None:
    from pipeline.label_app.folder import FolderOfImages
    from pipeline.tasks.index.pairing import pair_files
    from pipeline.tasks.index.sources import find_source

    pattern = re.search(r"`--pattern '([^']+)'`", (ROOT / "docs" / "labelling.md").read_text())
    assert pattern is not None
    studies = tmp_path / "films"
    Image.fromarray(np.eye(6, dtype=np.uint8)).save(tmp_path / "drawn.png")
    for name in ("p1/frontal", "p1/lateral", "p2/frontal"):
        (studies / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((6, 6), np.uint8)).save(studies / f"{name}.png")
    images = FolderOfImages(studies, tmp_path / "cache")
    for image in images.list_images():
        images.save_label(image, str(tmp_path / "drawn.png"), "final", {})
    found = pair_files(
        find_source(studies),
        [find_source(studies / "labels" / "final")],
        image_pattern=pattern[1],
        mask_pattern=pattern[1],
    )
    assert {pair.name: Path(str(pair.masks[0])).name for pair in found.pairs} == {
        "p1/frontal": "p1--frontal.png",
        "p1/lateral": "p1--lateral.png",
        "p2/frontal": "p2--frontal.png",
    }


def test_fractions_are_no_label(film: Picture, tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.fromarray(np.full((24, 24), 0.5, np.float32)).save(out, format="TIFF")
    (tmp_path / "label.tif").write_bytes(out.getvalue())
    with pytest.raises(UnknownLabel):
        read_label(tmp_path / "label.tif", film, "film")
