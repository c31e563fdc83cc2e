"""A folder of phantoms: what is in it, the same bytes again, and nothing of the user's lost."""

import csv
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from pipeline.errors import InvalidOption, OutputExists
from pipeline.tasks.index import parallel
from pipeline.tasks.phantom import make_phantoms

SMALL = {"size": 64}


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "out"
    make_phantoms(folder, 9, kind="both", **SMALL)
    return folder


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(made: Path, tmp_path: Path) -> None:
    make_phantoms(tmp_path / "again", 9, kind="both", **SMALL)
    assert content(tmp_path / "again") == content(made)
    make_phantoms(tmp_path / "other", 9, kind="both", seed=1, **SMALL)
    films = {name: data for name, data in content(tmp_path / "other").items() if name.startswith("images")}
    assert films and all(content(made).get(name) != data for name, data in films.items())


def test_several_processes_give_the_same_bytes_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "FILES_WORTH_A_PROCESS", 2)
    for workers in (1, 2):
        make_phantoms(tmp_path / str(workers), 6, format="png", workers=workers, **SMALL)
    assert content(tmp_path / "1") == content(tmp_path / "2")


def test_every_film_has_its_mask_labels_and_dicom(made: Path) -> None:
    films = [row for row in rows(made) if row["kind"] == "radiograph"]
    assert len(films) == 9
    for row in films:
        image, mask, labels = (
            np.asarray(Image.open(made / row[key])) for key in ("image_path", "mask_path", "labels_path")
        )
        ds = pydicom.dcmread(made / row["dicom_path"])
        stored = 255 - ds.pixel_array if row["photometric"] == "MONOCHROME1" else ds.pixel_array
        np.testing.assert_array_equal(stored, image)
        np.testing.assert_array_equal(mask, np.isin(labels, (1, 2)) * 255)
        assert mask.any() and image.shape == mask.shape
        assert (row["file"], row["mask"]) == (Path(row["image_path"]).name, Path(row["mask_path"]).name)
        assert float(ds.PixelSpacing[0]) == float(row["spacing_mm"])
        assert ds.PatientID == row["subject"]
        assert Image.open(made / row["image_path"]).text["Comment"] == "Digital phantom, not a patient"


def test_some_subjects_have_two_films_of_one_body(made: Path) -> None:
    films = [row for row in rows(made) if row["kind"] == "radiograph"]
    by_subject = {
        subject: [row for row in films if row["subject"] == subject] for subject in {r["subject"] for r in films}
    }
    pairs = [pair for pair in by_subject.values() if len(pair) == 2]
    assert pairs and len(pairs) < len(by_subject)
    for first, second in pairs:
        assert first["opacity"] == second["opacity"]
        assert (made / first["image_path"]).read_bytes() != (made / second["image_path"]).read_bytes()


def test_a_series_and_its_mask_are_one_grid(made: Path) -> None:
    series = [row for row in rows(made) if row["kind"] == "ct" and row["dicom_path"]]
    assert len(series) == len({row["subject"] for row in rows(made)})
    mask = nibabel.load(made / series[0]["mask_path"])
    files = sorted((made / series[0]["dicom_path"]).iterdir(), reverse=True)
    assert mask.shape == (64, 64, len(files))
    for k in (0, len(files) - 1):
        position = pydicom.dcmread(files[k]).ImagePositionPatient
        np.testing.assert_allclose(mask.affine @ (0, 0, k, 1) * (-1, -1, 1, 1), [*position, 1], atol=1e-3)


def test_png_slices_are_the_series_in_a_lung_window(made: Path) -> None:
    row = next(row for row in rows(made) if row["kind"] == "ct" and row["image_path"].endswith("-07.png"))
    subject = row["image_path"].removeprefix("ct_images/").removesuffix("-07.png")
    ds = pydicom.dcmread(sorted((made / "ct" / subject).iterdir(), reverse=True)[7])
    hu = ds.pixel_array + float(ds.RescaleIntercept)
    expected = np.round(np.clip((hu + 1100) / 1500, 0, 1) * 255)
    np.testing.assert_allclose(np.asarray(Image.open(made / row["image_path"])), expected, atol=1)
    labels = np.asarray(nibabel.load(made / "ct_masks" / f"{subject}.nii.gz").dataobj)[:, :, 7].T
    np.testing.assert_array_equal(np.asarray(Image.open(made / row["mask_path"])), labels)


@pytest.mark.parametrize(
    ("options", "folders"),
    [
        ({"format": "png"}, {"images", "masks", "labels"}),
        ({"format": "dicom"}, {"dicom", "masks", "labels"}),
        ({"kind": "ct", "format": "dicom"}, {"ct", "ct_masks"}),
        ({"kind": "ct", "format": "png"}, {"ct_images", "ct_image_masks"}),
    ],
)
def test_only_what_was_asked_for_is_written(options: dict, folders: set[str], tmp_path: Path) -> None:
    result = make_phantoms(tmp_path / "out", 1, **options, **SMALL)
    assert {path.name for path in (tmp_path / "out").iterdir()} == folders | {"index.csv", "README.txt"}
    assert {result.images.name, result.masks.name} <= folders
    assert not list((tmp_path / "out").rglob(".*"))


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "phantom-mine.png").write_bytes(b"mine")
    with pytest.raises(OutputExists, match="--overwrite"):
        make_phantoms(tmp_path, 1, **SMALL)
    assert content(tmp_path) == {"images/phantom-mine.png": b"mine"}
    make_phantoms(tmp_path, 1, overwrite=True, **SMALL)
    assert (tmp_path / "images" / "phantom-mine.png").read_bytes() == b"mine"


def test_a_second_run_replaces_the_first_and_keeps_files_of_others(tmp_path: Path) -> None:
    make_phantoms(tmp_path, 3, **SMALL)
    (tmp_path / "datalist.json").write_text("mine")
    make_phantoms(tmp_path, 1, seed=5, **SMALL)
    assert len(list((tmp_path / "images").iterdir())) == len(list((tmp_path / "dicom").iterdir())) == 1
    assert (tmp_path / "datalist.json").read_text() == "mine"
    assert len(rows(tmp_path)) == 1


def test_an_unfinished_run_has_no_index(tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        make_phantoms(tmp_path, 3, on_progress=stop, **SMALL)
    assert not (tmp_path / "index.csv").exists()
    make_phantoms(tmp_path, 1, **SMALL)
    assert len(rows(tmp_path)) == 1


def test_progress_counts_films_up_to_their_number(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    make_phantoms(tmp_path, 7, format="png", on_progress=lambda *counts: seen.append(counts), **SMALL)
    assert seen[-1] == (7, 7) and [done for done, _ in seen] == sorted({done for done, _ in seen})


@pytest.mark.parametrize("wrong", [{"number": 0}, {"size": 10}, {"seed": -1}, {"kind": "mri"}, {"format": "jpeg"}])
def test_options_that_make_no_picture_are_refused_before_anything_is_written(wrong: dict, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption):
        make_phantoms(tmp_path / "out", **{"number": 1, **SMALL, **wrong})
    assert not (tmp_path / "out").exists()
