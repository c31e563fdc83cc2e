"""An image keeps its id, and with it its label, whatever comes into its folder."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

from pipeline.label_app.image_book import Known, ids_of
from pipeline.phantom import ct_series, thorax
from pipeline.phantom.dicom import ct_slices_bytes


def put_series(folder: Path, name: str, slices: int = 4, size: int = 32) -> str:
    """A series of its own; its SeriesInstanceUID."""
    folder.mkdir(parents=True, exist_ok=True)
    series = ct_series(thorax(2), seed=2, size=size, slices=slices)
    for number, content in enumerate(ct_slices_bytes(series, subject="PHANTOM-2", origin=name)):
        (folder / f"{name}{number}.dcm").write_bytes(content)
    return str(pydicom.dcmread(folder / f"{name}0.dcm").SeriesInstanceUID)


def opened(folder: Path) -> Any:
    from pipeline.label_app.folder import FolderOfImages

    images = FolderOfImages(folder / "studies", folder / "cache")
    images.list_images()
    return images


def draw(images: Any, image: str, folder: Path) -> None:
    view = nib.load(images.get_image_uri(image))
    nib.save(nib.Nifti1Image(np.ones(view.shape, np.uint8), view.affine), folder / "drawn.nii.gz")
    images.save_label(image, str(folder / "drawn.nii.gz"), "final", {})


def series_by_id(images: Any) -> dict[str, str]:
    return {
        name: str(pydicom.dcmread(images.source(name).series.files[0]).SeriesInstanceUID)
        for name in images.list_images()
    }


@pytest.mark.label
@pytest.mark.parametrize("second", ["a", "z"], ids=["before", "behind"])
def test_a_second_series_in_a_folder_leaves_the_first_its_id(tmp_path: Path, second: str) -> None:
    folder = tmp_path / "studies" / "pat"
    first_uid = put_series(folder, "m")
    images = opened(tmp_path)
    assert images.list_images() == ["pat"]
    draw(images, "pat", tmp_path)
    put_series(folder, second)
    for again in (images, opened(tmp_path)):
        found = series_by_id(again)
        assert (len(found), found["pat"]) == (2, first_uid)
        assert again.get_labeled_images() == ["pat"]


@pytest.mark.label
def test_a_series_keeps_its_id_in_another_folder_and_hands_it_to_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "studies" / "pat"
    first_uid = put_series(folder, "m")
    assert opened(tmp_path).list_images() == ["pat"]
    folder.rename(folder.with_name("moved"))
    put_series(folder, "n")
    found = series_by_id(opened(tmp_path))
    assert found["pat"] == first_uid
    assert len(found) == 2


@pytest.mark.label
def test_in_a_book_of_before_the_label_goes_to_the_series_of_its_size(tmp_path: Path) -> None:
    folder = tmp_path / "studies" / "pat"
    first_uid = put_series(folder, "m", slices=5)
    images = opened(tmp_path)
    draw(images, "pat", tmp_path)
    book = tmp_path / "studies" / "labels" / "images.json"
    book.write_text(json.dumps({"pat": "pat"}))
    put_series(folder, "a", slices=4)  # the first of the two
    assert series_by_id(opened(tmp_path))["pat"] == first_uid
    assert json.loads(book.read_text())["pat"]["series"] == first_uid


@pytest.mark.label
def test_pictures_are_known_by_their_path(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "studies" / "a.png")
    assert opened(tmp_path).list_images() == ["a"]
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "studies" / "a.bmp")
    images = opened(tmp_path)
    assert images.source("a").path.name == "a.png"
    assert json.loads((tmp_path / "studies" / "labels" / "images.json").read_text())["a"] == "a.png"


def test_of_two_stacks_of_one_series_the_path_says_which_is_which() -> None:
    stacks = [Known("p/1.dcm", "1.2", "p"), Known("p/5.dcm", "1.2", "p")]
    book = {"y": Known("p/5.dcm", "1.2"), "x": Known("p/1.dcm", "1.2")}
    assert ids_of(stacks, ["n1", "n5"], book, lambda name, number: False) == ["x", "y"]


def test_without_a_label_of_its_size_a_book_of_before_means_the_first_series() -> None:
    found = [Known("p/1.dcm", "1.2", "p"), Known("p/5.dcm", "1.3", "p")]
    assert ids_of(found, ["p", "p"], {"p": Known("p")}, lambda name, number: False) == ["p", "p_2"]
    assert ids_of(found, ["q", "p"], {"p": Known("p")}, lambda name, number: number == 1) == ["q", "p"]


@pytest.mark.label
def test_the_data_set_as_one_file_has_every_picture_of_a_name(tmp_path: Path) -> None:
    for number, name in enumerate(("p1/frontal", "p2/frontal")):
        (tmp_path / "studies" / name).parent.mkdir(parents=True)
        Image.fromarray(np.full((4, 6), 50 + number, np.uint8)).save(tmp_path / "studies" / f"{name}.png")
    images = opened(tmp_path)
    Image.fromarray(np.eye(4, 6, dtype=np.uint8)).save(tmp_path / "drawn.png")
    for image in images.list_images():
        images.save_label(image, str(tmp_path / "drawn.png"), "final", {})
    path = Path(images.get_dataset_archive(None))
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == [
            f"{part}/{patient}--frontal.png" for part in ("image", "label") for patient in ("p1", "p2")
        ]
        assert np.asarray(Image.open(archive.open("image/p2--frontal.png")))[0, 0] == 51

    # Nobody says when a download has ended: what is being fetched stays, what was fetched long ago goes.
    second = Path(images.get_dataset_archive(None))
    assert path.is_file() and second.is_file()
    os.utime(path, (0, 0))
    images.get_dataset_archive(None)
    assert not path.exists() and second.is_file()
