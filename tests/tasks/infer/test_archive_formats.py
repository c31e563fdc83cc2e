"""`planar infer --format dicomseg,sc --statistics --preview`, with a network whose weights are random but fixed."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from pipeline.bundle import Bundle
from pipeline.dicom_seg import algorithm_of
from pipeline.errors import InvalidOption, MissingExtra, OutputExists
from pipeline.phantom import ct_series, radiograph, thorax
from pipeline.phantom.dicom import ct_slices_bytes, film_bytes
from pipeline.readers import read_picture
from pipeline.tasks.infer import infer
from pipeline.tasks.infer.statistics import measured


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film and a series of four slices."""
    folder = tmp_path_factory.mktemp("images")
    body = thorax(1)
    (folder / "film.dcm").write_bytes(
        film_bytes(radiograph(body, seed=1, size=96), subject="PHANTOM-1", number=1, origin="t")
    )
    (folder / "ct").mkdir()
    series = ct_series(body, seed=1, size=48, slices=4)
    for number, content in enumerate(ct_slices_bytes(series, subject="PHANTOM-1", origin="t")):
        (folder / "ct" / f"{number}.dcm").write_bytes(content)
    return folder


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("[!.]*") if path.is_file()}


def test_a_film_and_a_series_get_dicom_results(random_bundle: Bundle, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = infer(str(random_bundle.root), [str(images)], out, formats=["dicomseg", "sc", "nifti"])
    assert result.refused == ()
    assert names_in(out) == {
        *(f"film_{end}" for end in ("seg.dcm", "sc.dcm", "mask.nii.gz")),
        *(f"ct_{end}" for end in ("seg.dcm", "mask.nii.gz")),
        *(f"ct_sc/{number}.dcm" for number in range(4)),
    }
    film, seg = pydicom.dcmread(images / "film.dcm"), pydicom.dcmread(out / "film_seg.dcm")
    mask = np.asarray(nib.load(out / "film_mask.nii.gz").dataobj).squeeze()
    np.testing.assert_array_equal(seg.pixel_array.squeeze(), mask.T)
    assert seg.StudyInstanceUID == film.StudyInstanceUID
    (segment,) = seg.SegmentSequence
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert (segment.SegmentLabel, algorithm.AlgorithmName) == ("lung", "random_bundle")
    ct = pydicom.dcmread(out / "ct_seg.dcm")
    counted = int(np.asarray(nib.load(out / "ct_mask.nii.gz").dataobj).sum())
    assert int(ct.pixel_array.sum()) == counted > 0
    sc = pydicom.dcmread(out / "ct_sc" / "2.dcm")
    assert (sc.Columns, sc.SamplesPerPixel) == (48, 3)
    assert sc.Rows > 48  # a caption below


def test_probabilities_make_a_fractional_seg_and_no_other_file(
    random_bundle: Bundle, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    infer(str(random_bundle.root), [str(images / "film.dcm")], out, formats=["dicomseg"], seg_type="fractional")
    assert names_in(out) == {"film_seg.dcm"}
    seg = pydicom.dcmread(out / "film_seg.dcm")
    assert seg.SegmentationType == "FRACTIONAL"
    assert len(np.unique(seg.pixel_array)) > 10


def test_the_default_formats_need_no_highdicom(random_bundle: Bundle, images: Path, tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['highdicom'] = None\n"
        "from pathlib import Path\n"
        "from pipeline.tasks.infer import infer\n"
        "bundle, film, out = sys.argv[1:]\n"
        "print(infer(bundle, [film], Path(out), statistics=True, preview=True).refused)\n"
        "try:\n    infer(bundle, [film], Path(out), formats=['sc'])\n"
        "except ImportError as error:\n    print(type(error).__name__)\n"
    )
    arguments = [str(random_bundle.root), str(images / "film.dcm"), str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["()", "MissingExtra"]
    assert issubclass(MissingExtra, ImportError)
    assert names_in(tmp_path / "out") == {
        "film_mask.png",
        "film_preview.png",
        "film_statistics.json",
        "statistics.csv",
    }


def test_what_is_no_dicom_is_refused_before_it_is_segmented(
    random_bundle: Bundle, images: Path, tmp_path: Path
) -> None:
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(tmp_path / "photo.png")
    inputs = [str(tmp_path / "photo.png"), str(images / "film.dcm")]
    result = infer(str(random_bundle.root), inputs, tmp_path / "out", formats=["png", "dicomseg"])
    assert [Path(refusal.file).name for refusal in result.refused] == ["photo.png"]
    assert "a PNG file has no identifiers" in result.refused[0].reason
    assert names_in(tmp_path / "out") == {"film_mask.png", "film_seg.dcm"}


def test_statistics_are_a_file_a_source_and_one_table(random_bundle: Bundle, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = infer(str(random_bundle.root), [str(images)], out, statistics=True, formats=["nifti"])
    rows = list(csv.DictReader((out / "statistics.csv").read_text().splitlines()))
    assert result.table == out / "statistics.csv"
    assert {Path(row["file"]).name: row["unit"] for row in rows} == {"ct": "HU", "film.dcm": "grey value"}
    by_name = {Path(row["file"]).name: row for row in rows}
    document = json.loads((out / "ct_statistics.json").read_text())
    (lung,) = document["classes"]
    mask = nib.load(out / "ct_mask.nii.gz")
    inside = np.asarray(mask.dataobj) == 1
    assert lung["pixels"] == int(by_name["ct"]["pixels"]) == inside.sum() > 0
    voxel_ml = abs(np.linalg.det(mask.affine[:3, :3])) / 1000
    assert lung["volume_ml"] == pytest.approx(inside.sum() * voxel_ml, rel=1e-4)
    assert (lung["area_mm2"], by_name["ct"]["area_mm2"]) == (None, "")
    picture = read_picture(images / "ct")
    assert lung["mean"] == pytest.approx(float(picture.array[picture.grid.to_display(inside)].mean()), rel=1e-4)
    spacing = read_picture(images / "film.dcm").spacing_mm
    area = float(by_name["film.dcm"]["area_mm2"])
    assert area == pytest.approx(int(by_name["film.dcm"]["pixels"]) * spacing[0] * spacing[1], rel=1e-4)
    assert "PHANTOM" not in (out / "ct_statistics.json").read_text()


def test_a_stack_of_pages_has_no_volume(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((6, 5), value, np.uint8)) for value in (1, 2, 3)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:], dpi=(254, 254))
    picture = read_picture(tmp_path / "stack.tif")
    (found,) = measured(picture, np.ones(picture.array.shape, np.uint8), {0: "background", 1: "pore"})
    assert (found.pixels, found.slices, found.volume_ml, found.area_mm2) == (90, 3, None, None)


def test_a_preview_is_one_picture_whatever_the_source(random_bundle: Bundle, images: Path, tmp_path: Path) -> None:
    infer(str(random_bundle.root), [str(images)], tmp_path / "out", preview=True)
    with Image.open(tmp_path / "out" / "ct_preview.png") as picture:
        assert picture.size[0] == 4 * 288
    with Image.open(tmp_path / "out" / "film_preview.png") as picture:
        assert (picture.mode, max(picture.size) >= 1024) == ("RGB", True)


def test_a_second_run_takes_no_result_for_an_image(random_bundle: Bundle, images: Path, tmp_path: Path) -> None:
    source = tmp_path / "film.dcm"
    source.write_bytes((images / "film.dcm").read_bytes())
    options = {"formats": ["dicomseg", "sc"], "statistics": True, "preview": True}
    infer(str(random_bundle.root), [str(tmp_path)], tmp_path, **options)
    with pytest.raises(OutputExists, match="--overwrite"):
        infer(str(random_bundle.root), [str(tmp_path)], tmp_path, **options)
    again = infer(str(random_bundle.root), [str(tmp_path)], tmp_path, overwrite=True, **options)
    assert again.segmented == 1
    # Without them, those of the run before would be of another mask.
    infer(str(random_bundle.root), [str(tmp_path)], tmp_path, overwrite=True, formats=["dicomseg"])
    assert not (tmp_path / "film_statistics.json").exists()


def test_a_table_that_is_there_is_not_overwritten_unasked(random_bundle: Bundle, images: Path, tmp_path: Path) -> None:
    (tmp_path / "statistics.csv").write_text("somebody's")
    with pytest.raises(OutputExists, match=r"statistics\.csv exists"):
        infer(str(random_bundle.root), [str(images / "film.dcm")], tmp_path, statistics=True)


def test_ctrl_c_leaves_no_half_of_a_source(
    random_bundle: Bundle, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.dicom_seg import secondary_capture

    real, seen = secondary_capture.make_secondary_capture, []

    def third_stops(*arguments: object, **options: object) -> object:
        seen.append(arguments)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(secondary_capture, "make_secondary_capture", third_stops)
    with pytest.raises(KeyboardInterrupt):
        infer(
            str(random_bundle.root), [str(images / "ct")], tmp_path / "out", formats=["dicomseg", "sc"], statistics=True
        )
    assert not (tmp_path / "out").exists()


def test_a_class_without_a_code_is_told_of(random_bundle: Bundle, images: Path, tmp_path: Path) -> None:
    config = random_bundle.config("inference")
    config.write_text(config.read_text().replace("1: lung", "1: zebra"))
    result = infer(str(random_bundle.root), [str(images / "film.dcm")], tmp_path / "out", formats=["dicomseg"])
    assert "zebra is in no table of codes: its segment is called Tissue." in result.warnings


@pytest.mark.parametrize(
    ("options", "said"),
    [({"formats": ["jpg"]}, "no format 'jpg'"), ({"formats": []}, "no format"), ({"seg_type": "mesh"}, "'mesh'")],
)
def test_an_unknown_format_is_told(
    options: dict, said: str, random_bundle: Bundle, images: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidOption, match=said):
        infer(str(random_bundle.root), [str(images)], tmp_path / "out", **options)


def test_the_command_takes_formats_with_commas(
    random_bundle: Bundle, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipeline.cli import main

    arguments = ["infer", str(random_bundle.root), str(images / "film.dcm"), "-o", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--no-tracking", "--format", "png,dicomseg", "--format", "sc", "--statistics", "--preview"])
    assert caught.value.code == 0
    ends = ("mask.png", "seg.dcm", "sc.dcm", "statistics.json", "preview.png")
    assert names_in(tmp_path / "out") == {*(f"film_{end}" for end in ends), "statistics.csv"}
    assert f"Statistics: {tmp_path / 'out' / 'statistics.csv'}" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--format", "png,jpg"])
    assert caught.value.code != 0
    assert "There is no format 'jpg'" in capsys.readouterr().err


def test_a_film_is_decoded_once_for_the_network_and_its_mask(
    random_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pipeline.readers.dicom as module

    films = []
    for seed in (1, 2):
        film = radiograph(thorax(1), seed=seed, size=64)
        films.append(tmp_path / f"{seed}.dcm")
        films[-1].write_bytes(film_bytes(film, subject="PHANTOM-1", number=seed, origin="once"))
    decoded, true = [], module.read_dicom
    monkeypatch.setattr(module, "read_dicom", lambda file, **how: (decoded.append(file), true(file, **how))[1])
    infer(str(random_bundle.root), [str(film) for film in films], tmp_path / "out", formats=["dicomseg", "png"])
    assert decoded == [str(film) for film in films]


def test_a_slice_is_decoded_once_for_the_network_and_the_volume(
    random_bundle: Bundle, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pipeline.readers.dicom
    import pipeline.readers.series

    decoded, true = [], pipeline.readers.dicom.read_dicom
    for module in (pipeline.readers.dicom, pipeline.readers.series):
        monkeypatch.setattr(module, "read_dicom", lambda file, **how: (decoded.append(file), true(file, **how))[1])
    infer(str(random_bundle.root), [str(images / "ct")], tmp_path / "out", formats=["dicomseg", "nifti"])
    assert sorted(decoded) == sorted(str(path) for path in (images / "ct").iterdir())


def test_a_viewers_list_of_series_says_what_the_model_does(random_bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    film = radiograph(thorax(1), seed=1, size=64)
    path.write_bytes(film_bytes(film, subject="PHANTOM-1", number=1, origin="words"))
    infer(str(random_bundle.root), [str(path)], tmp_path / "out", formats=["dicomseg", "sc"])
    seg, sc = (pydicom.dcmread(tmp_path / "out" / f"film_{kind}.dcm") for kind in ("seg", "sc"))
    version = random_bundle.about["version"]
    assert seg.SeriesDescription == f"Lung segmentation on chest X-ray films {version}"
    assert sc.SeriesDescription == f"Lung segmentation on chest X-ray films {version} overlay"
    # The model itself stays findable by the bundle's name.
    assert seg.ManufacturerModelName == random_bundle.name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cxr lung", "cxr lung segmentation 0.1.0"),
        ("fundus_disc", "fundus disc segmentation 0.1.0"),
        ("Segments the trachea", "Segments the trachea 0.1.0"),
        ("word " * 20, f"{('word ' * 20)[:50].strip()} 0.1.0"),
        ("", "random_bundle 0.1.0"),
    ],
)
def test_a_series_is_called_by_the_bundles_own_name_and_version(random_bundle: Bundle, name: str, told: str) -> None:
    about = {**random_bundle.about, "name": name}
    random_bundle.metadata.write_text(json.dumps(about))
    assert algorithm_of(random_bundle, [random_bundle.weights]).title == told


def test_a_volume_without_a_place_has_a_volume(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.zeros((3, 6, 5), np.uint8))
    image.SetSpacing((1.5, 1.5, 1.0))  # as pages have it, for which no distance is known
    sitk.WriteImage(image, str(tmp_path / "volume.mha"))
    picture = read_picture(tmp_path / "volume.mha")
    (found,) = measured(picture, np.ones(picture.array.shape, np.uint8), {0: "background", 1: "pore"})
    assert found.volume_ml == pytest.approx(90 * 2.25 / 1000)
