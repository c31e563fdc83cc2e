from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image
from raw_sets import disc, texture, write_datalist

from benchmarks.cases import cases_of, read_saved, save_mask
from benchmarks.nnunet.conversion import channel_names, convert, numbered_labels, raw_dataset_of, read_prediction
from pipeline.datalist import read_datalist
from pipeline.errors import GeometryMismatch, InvalidDatalist
from pipeline.readers import read_picture


def as_nnunet_reads(path: Path) -> np.ndarray:
    """(rows, columns) or (rows, columns, 3), as nnU-Net's two readers get it."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            return np.asarray(image)
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def digest_of(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return found.hexdigest()


def colour_set(folder: Path) -> Path:
    """Colour PNG with colour-coded masks of two classes, one of them drawn in two files."""
    for k in range(4):
        colours = np.stack([texture(30, 20, 3 * k + c) for c in range(3)], axis=-1).astype(np.uint8)
        Image.fromarray(colours).save(folder / f"image{k}.png")
        mask = np.zeros((20, 30, 3), np.uint8)
        mask[disc(30, 20) == 1] = (0, 0, 250)
        mask[disc(30, 20, 8) == 1] = (250, 10, 0)
        Image.fromarray(mask).save(folder / f"mask{k}.png")
    return write_datalist(
        folder,
        [f"image{k}.png" for k in range(4)],
        [f"mask{k}.png" for k in range(4)],
        coding="colours:#000000=0,#0000ff=1,#ff0000=2",
        classes=("background", "rim", "cup"),
    )


def test_the_split_and_the_test_cases_are_those_of_the_datalist(phantom_datalist: Path, tmp_path: Path) -> None:
    dataset = convert(phantom_datalist, tmp_path)
    content = read_datalist(phantom_datalist)
    index = json.loads((dataset.folder / "cases.json").read_text())
    (fold,) = json.loads((dataset.folder / "splits_final.json").read_text())
    named = {
        part: [index[name]["image"] for name in fold[key]]
        for part, key in (("training", "train"), ("validation", "val"))
    }
    assert named["training"] == [item["image"] for item in content.training]
    assert named["validation"] == [item["image"] for item in content.validation]
    tested = [path.name.removesuffix("_0000.png") for path in sorted(dataset.test_images.iterdir())]
    assert [index[name]["image"] for name in tested] == [item["image"] for item in content.test]
    learnt = {path.name.removesuffix("_0000.png") for path in (dataset.folder / "imagesTr").iterdir()}
    assert learnt == {path.stem for path in (dataset.folder / "labelsTr").iterdir()} == {*fold["train"], *fold["val"]}
    assert not {index[name]["image"] for name in learnt} & {item["image"] for item in content.test}


def test_pictures_and_masks_are_exact(phantom_datalist: Path, tmp_path: Path) -> None:
    dataset = convert(phantom_datalist, tmp_path)
    description = json.loads((dataset.folder / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "grey"}
    assert description["labels"] == {"background": 0, "lung": 1}
    assert description["file_ending"] == ".png"
    assert description["overwrite_image_reader_writer"] == "NaturalImage2DIO"
    assert description["numTraining"] == len(list((dataset.folder / "labelsTr").iterdir()))
    for case in cases_of(phantom_datalist, ["training", "test"]):
        folder = "imagesTs" if case.part == "test" else "imagesTr"
        written = as_nnunet_reads(dataset.folder / folder / f"{case.name}_0000.png")
        np.testing.assert_array_equal(written.T, read_picture(case.image).array)
        if case.part != "test":
            stored = read_picture(case.labels[0], labels=True).array
            mask = as_nnunet_reads(dataset.folder / "labelsTr" / f"{case.name}.png")
            np.testing.assert_array_equal(mask.T, stored > 127)


def test_the_same_datalist_gives_the_same_bytes(phantom_datalist: Path, tmp_path: Path) -> None:
    first = convert(phantom_datalist, tmp_path / "a")
    second = convert(phantom_datalist, tmp_path / "b")
    assert digest_of(first.folder) == digest_of(second.folder)
    assert raw_dataset_of(first.folder) == first


def test_what_an_earlier_conversion_left_is_gone(phantom_datalist: Path, tmp_path: Path) -> None:
    dataset = convert(phantom_datalist, tmp_path)
    stranger = dataset.folder / "imagesTr" / "case_9999_0000.png"
    stranger.write_bytes(b"")
    convert(phantom_datalist, tmp_path)
    assert not stranger.exists()


def test_colour_pictures_keep_three_channels_in_one_png(tmp_path: Path) -> None:
    dataset = convert(colour_set(tmp_path), tmp_path / "raw")
    assert (dataset.channels, dataset.ending) == (("R", "G", "B"), ".png")
    picture = as_nnunet_reads(dataset.folder / "imagesTr" / "case_0000_0000.png")
    with Image.open(tmp_path / "image0.png") as image:
        np.testing.assert_array_equal(picture, np.asarray(image))
    mask = as_nnunet_reads(dataset.folder / "labelsTr" / "case_0000.png")
    expected = disc(30, 20)
    expected[disc(30, 20, 8) == 1] = 2
    np.testing.assert_array_equal(mask, expected)


def test_grey_stored_as_colour_is_one_channel(tmp_path: Path) -> None:
    names = []
    for k in range(3):
        grey = texture(24, 16, k).astype(np.uint8)
        grey[2:4, 2:4] = 200
        colours = np.repeat(grey[..., np.newaxis], 3, axis=-1)
        colours[2:3, 2:3] = (255, 0, 0)  # a coloured mark does not make a colour picture
        Image.fromarray(colours).save(tmp_path / f"{k}.png")
        Image.fromarray(disc(24, 16)).save(tmp_path / f"{k}_mask.png")
        names.append(f"{k}.png")
    dataset = convert(write_datalist(tmp_path, names, [f"{k}_mask.png" for k in range(3)]), tmp_path / "raw")
    assert dataset.channels == ("grey",)
    written = as_nnunet_reads(dataset.folder / "imagesTr" / "case_0000_0000.png")
    assert written.shape == (16, 24)
    np.testing.assert_array_equal(written[5:], texture(24, 16, 0).astype(np.uint8)[5:])


def test_several_mask_files_of_a_case_become_one(tmp_path: Path) -> None:
    for k in range(3):
        Image.fromarray(texture(24, 16, k).astype(np.uint8)).save(tmp_path / f"{k}.bmp")
        Image.fromarray(255 * disc(24, 16)).save(tmp_path / f"{k}_left.png")
        Image.fromarray(255 * disc(24, 16, 9)).save(tmp_path / f"{k}_right.png")
    labels = [[f"{k}_left.png", f"{k}_right.png"] for k in range(3)]
    data = write_datalist(
        tmp_path, [f"{k}.bmp" for k in range(3)], labels, coding="threshold:127@1,2", classes=("background", "l", "r")
    )
    dataset = convert(data, tmp_path / "raw")
    expected = disc(24, 16)
    expected[disc(24, 16, 9) == 1] = 2
    np.testing.assert_array_equal(as_nnunet_reads(dataset.folder / "labelsTr" / "case_0001.png"), expected)


def test_float_tiff_goes_through_nifti_without_loss(tmp_path: Path) -> None:
    for k in range(3):
        Image.fromarray((1e-4 * texture(24, 16, k)).astype(np.float32)).save(tmp_path / f"{k}.tif")
        Image.fromarray(255 * disc(24, 16)).save(tmp_path / f"{k}_mask.png")
    labels = [f"{k}_mask.png" for k in range(3)]
    dataset = convert(
        write_datalist(tmp_path, [f"{k}.tif" for k in range(3)], labels, coding="threshold:127"), tmp_path / "raw"
    )
    assert (dataset.ending, dataset.spacing_known) == (".nii.gz", False)
    written = as_nnunet_reads(dataset.folder / "imagesTr" / "case_0000_0000.nii.gz")
    np.testing.assert_array_equal(written, (1e-4 * texture(24, 16, 0)).astype(np.float32))
    np.testing.assert_array_equal(as_nnunet_reads(dataset.folder / "labelsTr" / "case_0000.nii.gz"), disc(24, 16))


def nifti_set(folder: Path) -> Path:
    """Slices of HU with a pixel size, stored upside down."""
    affine = np.array([[0.7, 0, 0, 5], [0, 0.8, 0, -3], [0, 0, 2.5, 0], [0, 0, 0, 1]], float)
    for k in range(3):
        values = (texture(24, 16, k) * 10 - 1000).astype(np.int16)
        nib.save(nib.Nifti1Image(values.T[..., np.newaxis], affine), folder / f"{k}.nii.gz")
        nib.save(nib.Nifti1Image(disc(24, 16).T[..., np.newaxis], affine), folder / f"{k}_mask.nii.gz")
    return write_datalist(
        folder, [f"{k}.nii.gz" for k in range(3)], [f"{k}_mask.nii.gz" for k in range(3)], modality="CT"
    )


def test_hounsfield_units_and_pixel_size_are_handed_on(tmp_path: Path) -> None:
    data = nifti_set(tmp_path)
    dataset = convert(data, tmp_path / "raw")
    assert (dataset.channels, dataset.ending, dataset.spacing_known) == (("CT",), ".nii.gz", True)
    assert raw_dataset_of(dataset.folder) == dataset
    path = dataset.folder / "imagesTr" / "case_0000_0000.nii.gz"
    assert sitk.ReadImage(str(path)).GetSpacing() == pytest.approx((0.7, 0.8))
    np.testing.assert_array_equal(as_nnunet_reads(path).T, read_picture(tmp_path / "0.nii.gz").array)


def test_a_prediction_comes_back_on_the_source_grid(tmp_path: Path) -> None:
    dataset = convert(nifti_set(tmp_path), tmp_path / "raw")
    (case,) = cases_of(tmp_path / "datalist.json", ["test"])
    # What nnU-Net's writer makes of a mask: the geometry of the picture that it was given.
    source = sitk.ReadImage(str(dataset.test_images / f"{case.name}_0000.nii.gz"))
    mask = sitk.GetImageFromArray(np.ascontiguousarray(case.reference().T))
    mask.CopyInformation(source)
    sitk.WriteImage(mask, str(tmp_path / "prediction.nii.gz"))
    found = read_prediction(tmp_path / "prediction.nii.gz")
    np.testing.assert_array_equal(found, case.reference())
    save_mask(found, case, tmp_path / "masks")
    np.testing.assert_array_equal(read_saved(case, tmp_path / "masks"), case.reference())


def test_a_turned_photograph_is_seen_upright_and_its_mask_turned_back(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[274] = 6
    for k in range(3):
        Image.fromarray(texture(24, 18, k).astype(np.uint8)).save(tmp_path / f"{k}.jpg", exif=turned, quality=95)
        Image.fromarray(255 * disc(24, 18)).save(tmp_path / f"{k}_mask.png", exif=turned)
    names = [f"{k}.jpg" for k in range(3)]
    data = write_datalist(tmp_path, names, [f"{k}_mask.png" for k in range(3)], coding="threshold:127")
    dataset = convert(data, tmp_path / "raw")
    (case,) = cases_of(data, ["test"])
    assert as_nnunet_reads(dataset.test_images / f"{case.name}_0000.png").shape == (
        24,
        18,
    )  # rows, columns: stored as 18 × 24
    Image.fromarray(np.ascontiguousarray(case.reference().T)).save(tmp_path / "prediction.png")
    path = save_mask(read_prediction(tmp_path / "prediction.png"), case, tmp_path / "masks")
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), disc(24, 18))  # as stored
    np.testing.assert_array_equal(read_saved(case, tmp_path / "masks"), case.reference())


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    for k in range(3):
        Image.fromarray(texture(24, 16, k).astype(np.uint8)).save(tmp_path / f"{k}.png")
        Image.fromarray(disc(23, 16)).save(tmp_path / f"{k}_mask.png")
    data = write_datalist(tmp_path, [f"{k}.png" for k in range(3)], [f"{k}_mask.png" for k in range(3)])
    with pytest.raises(GeometryMismatch, match="23×16, its image 24×16"):
        convert(data, tmp_path / "raw")


def test_a_datalist_without_a_test_part_is_refused(phantom_datalist: Path, tmp_path: Path) -> None:
    document: dict[str, Any] = json.loads(phantom_datalist.read_text())
    (tmp_path / "phantom").symlink_to(phantom_datalist.parent / "phantom")
    (tmp_path / "datalist.json").write_text(json.dumps(document | {"test": []}))
    with pytest.raises(InvalidDatalist, match="no cases in 'test'"):
        convert(tmp_path / "datalist.json", tmp_path / "raw")


@pytest.mark.parametrize(
    ("channels", "modality", "low", "names"),
    [
        (1, "CT", -1000.0, ("CT",)),
        (1, "CT", 0.0, ("grey",)),  # windowed: not Hounsfield units
        (1, "CR", -1000.0, ("grey",)),
        (3, "unknown", 0.0, ("R", "G", "B")),
    ],
)
def test_channels_are_called_what_nnunet_should_make_of_them(
    channels: int, modality: str, low: float, names: tuple[str, ...]
) -> None:
    assert channel_names(channels, modality, low) == names


def test_no_class_becomes_the_one_that_nnunet_ignores() -> None:
    assert numbered_labels(["nothing", "ignore", "lung", "lung"]) == {
        "background": 0,
        "ignore_1": 1,
        "lung": 2,
        "lung_3": 3,
    }
