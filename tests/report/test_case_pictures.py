from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from evaluation_phantoms import SIZE, evaluated, films, indexed_again, shifted
from PIL import Image

from pipeline.datalist import pixel_digest
from pipeline.errors import GeometryMismatch, InvalidDatalist, InvalidEvaluation
from pipeline.phantom import radiograph, thorax
from pipeline.phantom.dicom import film_bytes
from pipeline.readers import read_picture
from pipeline.report.evaluation import view_evaluation
from pipeline.report.material import Material
from pipeline.report.pictures import CaseSource, panels, read_case
from pipeline.report.strips import cases_shown, pictures_of


@pytest.fixture
def datalist(tmp_path: Path) -> Path:
    return films(tmp_path / "films")


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2]))).convert("RGB")


def save(path: Path, array: np.ndarray) -> Path:
    Image.fromarray(np.ascontiguousarray(array.T)).save(path)
    return path


def test_each_case_is_image_reference_prediction_and_outlines(tmp_path: Path, datalist: Path) -> None:
    view = view_evaluation(evaluated(tmp_path / "ev", datalist, lambda number, mask: shifted(mask, 6)))
    notes: list[str] = []
    drawn = pictures_of(Material(view, CaseSource.of(view, datalist)), notes)
    assert notes == []
    assert {kind: len(names) for kind, names in drawn.extremes.items()} == {"worst": 3, "median": 3, "best": 3}
    assert len(drawn.spread) == 9
    (strip, *_) = drawn.strips(drawn.extremes["worst"])
    assert [text for text, _ in strip.pictures] == ["Image", "Reference", "Prediction", "Both outlines"]
    assert strip.name.startswith("film0")
    assert "lung Dice" in strip.caption
    assert "px" in strip.caption
    image, *_, outlines = (np.asarray(opened(uri)).astype(int) for _, uri in strip.pictures)
    assert np.abs(image[..., 0] - image[..., 2]).max() < 40  # a grey film; the codec has its losses
    red, blue = (outlines[..., 0] - outlines[..., 2] > 90).mean(), (outlines[..., 2] - outlines[..., 0] > 90).mean()
    assert min(red, blue) > 0.005


def test_a_picture_is_turned_as_the_film_is(tmp_path: Path, datalist: Path) -> None:
    view = view_evaluation(evaluated(tmp_path / "ev", datalist))
    drawn = pictures_of(Material(view, CaseSource.of(view, datalist)), [])
    wide, tall = opened(next(iter(drawn.drawn.values())).pictures[0][1]).size
    assert wide / tall == pytest.approx(SIZE[0] / SIZE[1], rel=0.02)


def test_a_small_object_is_cut_out_and_framed(tmp_path: Path) -> None:
    image, mask = np.full((400, 300), 40, np.uint8), np.zeros((400, 300), np.uint8)
    mask[300:320, 50:60] = 1
    image[mask > 0] = 200
    item = {"image": str(save(tmp_path / "i.png", image)), "label": str(save(tmp_path / "m.png", mask))}
    case = read_case(item, [save(tmp_path / "p.png", shifted(mask, 4))])
    assert case.box is not None
    scale = case.image.shape[0] / 400
    left, top, right, bottom = (edge / scale for edge in case.box)
    assert left <= 300 < 324 <= right
    assert top <= 50 < 60 <= bottom
    assert right - left == pytest.approx(bottom - top, abs=2 / scale)
    assert case.reference.shape == case.predictions[0].shape == case.detail.shape
    assert 0.02 < (case.reference > 0).mean() < 0.5
    framed = np.asarray(opened(panels(case, ["disc"])[0]))
    assert (framed[..., 0] > 200).sum() > 100


def test_what_fills_the_picture_or_is_nowhere_is_shown_whole(tmp_path: Path) -> None:
    image = save(tmp_path / "i.png", np.arange(6000, dtype=np.uint32).reshape(100, 60).astype(np.uint8))
    large, none = np.ones((100, 60), np.uint8), np.zeros((100, 60), np.uint8)
    for name, mask in (("large", large), ("none", none)):
        path = str(save(tmp_path / f"{name}.png", mask))
        case = read_case({"image": str(image), "label": path}, [Path(path)])
        assert case.box is None
        assert case.detail.shape[0] / case.detail.shape[1] == pytest.approx(100 / 60, rel=0.02)


def test_a_mask_on_another_grid_is_told_and_left_out(tmp_path: Path, datalist: Path) -> None:
    view = view_evaluation(evaluated(tmp_path / "ev", datalist))
    worst = view.images["image"].iloc[0]
    mask = view.folder / view.images["mask"].iloc[0]
    save(mask, np.zeros((5, 5), np.uint8))
    source = CaseSource.of(view, datalist)
    with pytest.raises(GeometryMismatch, match="is 5×5, its image 72×60; expected one grid"):
        read_case(source.items[worst], [mask])
    notes: list[str] = []
    drawn = pictures_of(Material(view, source), notes)
    assert worst not in drawn.drawn
    assert len(notes) == 1
    assert str(tmp_path) not in notes[0]
    assert f"{Path(worst).name} is not shown" in notes[0]
    mask.unlink()
    notes.clear()
    pictures_of(Material(view, source), notes)
    assert notes == [f"{Path(worst).name} is not shown: its mask is not in the evaluation folder."]


@pytest.mark.parametrize(("key", "what"), [("image", "image"), ("label", "reference mask")])
def test_what_was_replaced_since_it_was_indexed_is_told_and_not_drawn(
    tmp_path: Path, datalist: Path, key: str, what: str
) -> None:
    view = view_evaluation(evaluated(tmp_path / "ev", datalist))
    worst = view.images["image"].iloc[0]
    source = CaseSource.of(view, datalist)
    file = Path(source.items[worst][key])
    with Image.open(file) as picture:
        before = np.asarray(picture).T
    save(file, np.roll(before, 7, axis=0))
    notes: list[str] = []
    drawn = pictures_of(Material(view, source), notes)
    assert worst not in drawn.drawn
    assert len(drawn.drawn) == len(cases_shown(Material(view, source))) - 1
    (note,) = notes
    assert note.startswith(f"{file.name} is not shown: {file.name}: the {what} was replaced")
    assert note.endswith(f"Put back the {what} of then, or index and evaluate again.")
    save(file, before)  # another file of the same pixels is no other picture
    notes.clear()
    assert worst in pictures_of(Material(view, source), notes).drawn
    assert notes == []


def test_a_mask_that_was_replaced_and_indexed_again_is_not_drawn_beside_the_score_of_the_old_one(
    tmp_path: Path, datalist: Path
) -> None:
    view = view_evaluation(evaluated(tmp_path / "ev", datalist))
    (worst, second), notes = view.images["image"][:2], []
    file = Path(CaseSource.of(view, datalist).items[worst]["label"])
    with Image.open(file) as picture:
        save(file, np.roll(np.asarray(picture).T, 7, axis=0))  # as many pixels as before, at another place
    indexed_again(datalist)
    save(view.folder / view.images["mask"][1], np.ones(SIZE, np.uint8))
    material = Material(view, CaseSource.of(view, datalist))
    drawn = pictures_of(material, notes)
    assert set(cases_shown(material)) - {*drawn.drawn} == {worst, second}
    assert len(notes) == 2
    for name, note in zip((worst, second), notes, strict=True):
        lung = f"{view.dice_of(name)[0]:.3f}"
        assert re.search(rf"{view.short[name]} is not shown: .* their Dice is 0\.\d+, the recorded one {lung}\.", note)


@pytest.mark.parametrize("key", ["image", "label"])
def test_a_source_that_is_gone_or_damaged_is_told_and_the_others_are_drawn(
    tmp_path: Path, datalist: Path, key: str
) -> None:
    view = view_evaluation(evaluated(tmp_path / "ev", datalist))
    items = CaseSource.of(view, datalist).items
    worst, second = (Path(items[name][key]) for name in view.images["image"][:2])
    worst.unlink()
    second.write_bytes(second.read_bytes()[:100])
    material = Material(view, CaseSource.of(view, datalist))
    notes: list[str] = []
    drawn = pictures_of(material, notes)
    assert len(drawn.drawn) == len(cases_shown(material)) - 2
    assert len(notes) == 2
    assert f"{worst.name} is not shown: {worst.name}: no such file." in notes
    assert any(note.startswith(f"{second.name} is not shown: {second.name}: the PNG file is damaged") for note in notes)
    for item in items.values():
        Path(item[key]).unlink(missing_ok=True)
    with pytest.raises(InvalidDatalist, match=r"none of the 12 images that were scored can be shown.*film\d+\.png"):
        CaseSource.of(view, datalist)


def test_the_window_of_a_dicom_film_does_not_make_it_another_picture(tmp_path: Path) -> None:
    film = tmp_path / "film.dcm"
    film.write_bytes(film_bytes(radiograph(thorax(1), seed=1, size=64), subject="P", number=1, origin="report"))
    stored, shown = read_picture(film), read_picture(film, voi=True)
    mask = save(tmp_path / "m.png", np.ones(stored.array.shape, np.uint8))
    item = {"image": str(film), "label": str(mask), "image_sha256": pixel_digest(stored.array)}
    assert item["image_sha256"] != pixel_digest(shown.array)
    assert read_case(item, [mask]).image.shape[0] > 100


def test_without_datalist_or_masks_nothing_is_drawn_and_the_page_says_why(tmp_path: Path, datalist: Path) -> None:
    notes: list[str] = []
    view = view_evaluation(evaluated(tmp_path / "ev", datalist, masks=False))
    for material in (Material(view), Material(view, CaseSource.of(view, datalist))):
        assert cases_shown(material) == []
        assert not pictures_of(material, notes).drawn
    assert notes == [
        "No pictures: the datalist was not given (--data).",
        "No pictures: the evaluation kept no masks (save_masks in evaluate.yaml).",
    ]


def test_the_datalist_must_be_the_one_that_was_evaluated(tmp_path: Path, datalist: Path) -> None:
    view = view_evaluation(evaluated(tmp_path / "ev", datalist))
    other = films(tmp_path / "other", 3)
    with pytest.raises(InvalidEvaluation, match=r"scores 9 images that .* does not have in 'test', first images/film"):
        CaseSource.of(view, other)
    changed = films(tmp_path / "changed", seed=4)
    with pytest.raises(InvalidEvaluation, match=r"images/film\d+\.png has other pixels than when .* was made"):
        CaseSource.of(view, changed)


@pytest.mark.parametrize("split", ["test", "out of fold"])
def test_a_datalist_in_another_folder_calls_its_pictures_otherwise_and_shows_the_same(
    tmp_path: Path, datalist: Path, split: str
) -> None:
    view = view_evaluation(evaluated(tmp_path / "ev", datalist, about={"split": split}))
    document = json.loads(datalist.read_text())
    for item in document["test"]:
        item |= {key: f"../films/{item[key]}" for key in ("image", "label")}
    part = "training" if split == "out of fold" else "test"
    moved = tmp_path / "elsewhere" / "datalist.json"
    moved.parent.mkdir()
    moved.write_text(json.dumps(document | {"test": [], part: document["test"]}))
    notes: list[str] = []
    assert len(pictures_of(Material(view, CaseSource.of(view, moved)), notes).drawn) > 3
    assert notes == []
    twins = [item | {"image_sha256": document["test"][0]["image_sha256"]} for item in document["test"]]
    moved.write_text(json.dumps(document | {"test": [], part: twins}))
    with pytest.raises(InvalidEvaluation, match=r"scores 12 images that .* does not have"):
        CaseSource.of(view, moved)


@pytest.mark.parametrize("validation", [4, 0])
def test_what_a_cross_validation_scored_is_found_in_training_and_validation(
    tmp_path: Path, datalist: Path, validation: int
) -> None:
    view = view_evaluation(evaluated(tmp_path / "ev", datalist, about={"split": "out of fold"}))
    document = json.loads(datalist.read_text())
    items = document.pop("test")
    parts = {"training": items[validation:], "validation": items[:validation], "test": []}
    datalist.write_text(json.dumps(document | parts))
    assert set(CaseSource.of(view, datalist).items) == {item["image"] for item in items}
    datalist.write_text(json.dumps(document | parts | {"training": items[5:]}))
    with pytest.raises(InvalidEvaluation, match=r"does not have in 'out of fold', .* evaluated: .*ev/datalist\.json"):
        CaseSource.of(view, datalist)


def test_a_case_of_several_mask_files_is_read_by_its_coding(tmp_path: Path, datalist: Path) -> None:
    document = json.loads(datalist.read_text())
    item = document["test"][0]
    with Image.open(datalist.parent / item["label"]) as picture:
        mask = np.asarray(picture).T
    files = [str(save(tmp_path / f"{k}.png", np.where(mask == k, 255, 0).astype(np.uint8))) for k in (1, 2)]
    prediction = save(tmp_path / "p.png", mask)
    whole = {"image": str(datalist.parent / item["image"]), "label": files, "label_coding": "threshold:127@1,2"}
    case = read_case(whole, [prediction])
    assert np.array_equal(case.reference, case.predictions[0])
    assert set(np.unique(case.reference)) == {0, 1, 2}
