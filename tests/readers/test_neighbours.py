"""A slice with its neighbours as channels."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from monai.transforms import Compose, EnsureChannelFirstd, EnsureTyped, LoadImaged, SelectItemsd
from PIL import Image
from reader_phantoms import CT_IMAGE, dicom_of, save_dicom, write_dicom

from pipeline.errors import UnsupportedImage
from pipeline.readers import DicomSeries, PlanarReader, group_series
from pipeline.readers.neighbours import neighbours_of, read_with_neighbours
from pipeline.transforms import ComposeOnDisk


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Five slices, each of its own number."""
    array = np.broadcast_to(np.arange(5, dtype=np.int16), (6, 4, 5)).copy()
    nibabel.save(nibabel.Nifti1Image(array, np.diag([1.0, 1.0, 2.0, 1.0])), tmp_path / "ct.nii.gz")
    return tmp_path / "ct.nii.gz"


def numbers(paths: list[str]) -> list[int]:
    return [int(path.rpartition("=")[2]) for path in paths]


@pytest.mark.parametrize(
    ("number", "reach", "expected"),
    [(2, 1, [1, 2, 3]), (0, 1, [0, 0, 1]), (4, 1, [3, 4, 4]), (1, 2, [0, 0, 1, 2, 3]), (3, 0, [3])],
)
def test_the_ends_of_a_volume_are_repeated(number: int, reach: int, expected: list[int], volume: Path) -> None:
    assert numbers(neighbours_of(f"{volume}#slice={number}", reach)) == expected


def test_channels_are_the_slices_in_the_volumes_order(volume: Path) -> None:
    array, middle = read_with_neighbours(f"{volume}#slice=3", 1)
    assert array.shape == (6, 4, 3)
    values = array[0, 0].tolist()
    assert sorted(values) == [min(values), min(values) + 1, min(values) + 2]
    alone = PlanarReader().get_data([f"{volume}#slice=3"])[0]
    assert np.array_equal(array[..., 1], alone)
    assert middle.path.endswith("#slice=3")


def test_monais_loader_gives_them_channel_first_with_the_slices_own_place(volume: Path) -> None:
    def load(**options: int) -> dict:
        steps = Compose([LoadImaged(keys="image", reader=PlanarReader, **options), EnsureChannelFirstd(keys="image")])
        return steps({"image": f"{volume}#slice=2"})["image"]

    three, one = load(neighbours=1), load()
    assert three.shape == (3, *one.shape[1:])
    assert np.array_equal(three[1].numpy(), one[0].numpy())
    assert np.array_equal(three.affine, one.affine)


def test_a_picture_that_is_no_slice_stands_in_its_neighbours_place(tmp_path: Path) -> None:
    Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6)).save(tmp_path / "a.png")
    array, _ = read_with_neighbours(tmp_path / "a.png", 2)
    assert array.shape == (6, 4, 5)
    assert (array == array[..., :1]).all()


def test_a_coloured_picture_counts_by_its_brightness(tmp_path: Path) -> None:
    Image.new("RGB", (6, 4), (200, 100, 50)).save(tmp_path / "a.png")
    array, _ = read_with_neighbours(tmp_path / "a.png", 1)
    assert array.shape == (6, 4, 3)
    assert float(array.max()) == pytest.approx(0.299 * 200 + 0.587 * 100 + 0.114 * 50, abs=0.01)


def test_a_volume_that_was_replaced_is_seen(volume: Path) -> None:
    assert numbers(neighbours_of(f"{volume}#slice=4", 1)) == [3, 4, 4]
    longer = np.zeros((6, 4, 9), np.int16)
    nibabel.save(nibabel.Nifti1Image(longer, np.eye(4)), volume)
    assert numbers(neighbours_of(f"{volume}#slice=4", 1)) == [3, 4, 5]


def write_slice(path: Path, value: int, z: float, uid: str) -> None:
    """A DICOM slice of one value, at a height in mm."""
    ds = dicom_of(
        np.full((5, 7), value, np.int16),
        sop_class=CT_IMAGE,
        SeriesInstanceUID=uid,
        Modality="CT",
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        ImagePositionPatient=[0, 0, z],
        PixelSpacing=[1, 1],
    )
    save_dicom(ds, path)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Five DICOM slices of 0, 100, ... HU from foot to head, whose names say nothing of it, and a film beside."""
    folder = tmp_path / "series"
    folder.mkdir()
    for k, name in enumerate("dbeac"):
        write_slice(folder / name, 100 * k, 2 * k, "1.2.3")
    write_dicom(folder / "film", np.full((5, 7), 7, np.uint16))
    return folder


def of_each_file(folder: Path) -> dict[str, list[float]]:
    """The values of a file's neighbours and its own."""
    return {name: read_with_neighbours(folder / name, 1)[0][0, 0].tolist() for name in "dbeac"}


IN_ORDER = {"d": [0, 0, 100], "b": [0, 100, 200], "e": [100, 200, 300], "a": [200, 300, 400], "c": [300, 400, 400]}


def test_the_files_of_a_series_have_their_neighbours_by_place(series: Path) -> None:
    assert of_each_file(series) == IN_ORDER
    (series / "c").unlink()
    assert read_with_neighbours(series / "a", 1)[0][0, 0].tolist() == [200, 300, 300]
    assert read_with_neighbours(series / "film", 1)[0][0, 0].tolist() == [7, 7, 7]


def test_two_volumes_in_one_folder_are_not_mixed(series: Path) -> None:
    for k in range(2):
        write_slice(series / f"other{k}", -k, 3 * k, "1.2.4")
    assert of_each_file(series) == IN_ORDER


def test_a_slice_kept_on_disk_is_made_anew_when_its_neighbour_changes(
    series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANAR_CACHE", str(tmp_path / "kept"))
    steps = [
        LoadImaged("image", reader="pipeline.readers.PlanarReader", neighbours=1),
        EnsureChannelFirstd("image"),
        EnsureTyped("image", track_meta=False),
        SelectItemsd("image"),
    ]
    chain = ComposeOnDisk(steps)

    def middle() -> list[float]:
        return list(chain({"image": str(series / "e")})["image"][:, 0, 0].tolist())

    assert middle() == IN_ORDER["e"]
    assert middle() == IN_ORDER["e"]
    assert len(list((tmp_path / "kept").glob("*.pt"))) == 1
    write_slice(series / "a", 350, 6, "1.2.3")
    assert middle() == [100, 200, 350]
    (series / "a").unlink()
    assert middle() == [100, 200, 400]


def test_a_series_in_an_archive_has_neighbours(series: Path) -> None:
    shutil.make_archive(str(series), "zip", series)
    assert of_each_file(Path(f"{series}.zip")) == IN_ORDER


def test_a_slice_that_is_not_there_is_no_other_one(volume: Path) -> None:
    with pytest.raises(UnsupportedImage, match="slice"):
        read_with_neighbours(f"{volume}#slice=99", 1)


def test_neighbours_of_slices_in_several_folders_are_those_of_their_volume(tmp_path: Path) -> None:
    files = []
    for number in range(6):
        ds = dicom_of(
            np.full((5, 7), number, np.int16),
            sop_class=CT_IMAGE,
            SeriesInstanceUID="1.2.3.4",
            InstanceNumber=number,
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[0, 0, number],
            PixelSpacing=[1, 1],
        )
        folder = tmp_path / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        save_dicom(ds, folder / f"{number}")
        files.append(str(folder / f"{number}"))
    (volume,) = group_series(files)
    assert isinstance(volume, DicomSeries) and list(volume.files) == files
    assert neighbours_of(files[2], 1) == files[1:4]
    assert neighbours_of(files[0], 1) == [files[0], *files[:2]]
