"""The pictures of a report as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluation_phantoms import evaluated, films
from PIL import Image

from pipeline.errors import InvalidOption, OutputExists
from pipeline.overlays import PREDICTION, REFERENCE
from pipeline.report import picture_files
from pipeline.report.confusion_picture import CELL, DARK, LIGHT, draw_confusion
from pipeline.report.evaluation import view_evaluation
from pipeline.report.material import Material
from pipeline.report.picture_files import write_pictures
from pipeline.report.pictures import CasePicture, CaseSource, class_colours
from pipeline.report.sheets import collage, overlay, triptych
from pipeline.tasks.report import write_report


def case(size: tuple[int, int] = (60, 40)) -> CasePicture:
    """A grey picture, a reference on the left and a prediction on the right of its middle."""
    image = np.full(size, 90, np.uint8)
    reference, prediction = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    reference[10:40, 10:30] = 1
    prediction[20:50, 10:30] = 1
    return CasePicture(image, reference, (prediction,), image, None)


def colours(picture: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in np.asarray(picture.convert("RGB")).reshape(-1, 3).tolist()}


def test_a_triptych_is_image_mask_and_prediction_of_one_size() -> None:
    shown = case()
    drawn = np.asarray(triptych(shown, ["lung"], "a case"))
    below = drawn[-48:-8]  # the panels, 40 pixels high
    panels = [below[:, left : left + 60] for left in (8, 76, 144)]
    assert set(np.unique(panels[0])) == {90}
    assert np.array_equal(panels[1][..., 0] == 255, shown.reference.T == 1)
    assert np.array_equal(panels[2][..., 0] == 255, shown.predictions[0].T == 1)


def test_classes_of_a_triptych_have_colours_of_their_own_and_a_key() -> None:
    one = case()
    two = CasePicture(one.image, one.reference * 2, one.predictions, one.detail, None)
    drawn = triptych(two, ["disc rim", "cup"], "a case")
    assert {(230, 40, 40), (0, 158, 115)} <= colours(drawn)


def test_an_overlay_has_the_references_outline_in_blue() -> None:
    assert {PREDICTION, REFERENCE} <= colours(overlay(case(), ["disc"], "predicted"))


@pytest.mark.parametrize(("number", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (5, 3, 2), (9, 3, 3)])
def test_a_collage_has_three_in_a_row(number: int, columns: int, rows: int) -> None:
    sheet = collage([(f"case {k}", case()) for k in range(number)], "From the worst to the best")
    one = collage([("case", case())], "")
    assert (sheet.width - 8) == columns * (one.width - 8)
    three, six = (collage([("case", case())] * count, "From the worst to the best").height for count in (3, 6))
    assert sheet.height >= three + (rows - 1) * (six - three)
    assert columns < 3 or sheet.height == three + (rows - 1) * (six - three)
    assert {PREDICTION, REFERENCE} <= colours(sheet)


def test_a_long_caption_does_not_run_into_the_next_case() -> None:
    wide = collage([("x" * 400, case()), ("y", case())], "")
    short = collage([("", case()), ("y", case())], "")
    assert np.array_equal(np.asarray(wide)[:, 340:], np.asarray(short)[:, 340:])


def test_a_long_caption_keeps_its_figure() -> None:
    name = "x" * 400
    poor, good = (collage([(f"{name}.png: Dice {figure}", case())], "") for figure in ("0.250", "0.950"))
    assert not np.array_equal(np.asarray(poor), np.asarray(good))


def test_the_confusion_matrix_shades_a_cell_by_its_share_of_the_row() -> None:
    table = pd.DataFrame([[100, 0], [0, 7]], index=["background", "lung"], columns=["background", "lung"])
    drawn = np.asarray(draw_confusion(table))
    height, width = drawn.shape[:2]
    corners = [drawn[height - 8 - CELL * k + 5, width - 8 - CELL * j + 5] for k in (2, 1) for j in (2, 1)]
    assert [tuple(int(part) for part in corner) for corner in corners] == [DARK, LIGHT, LIGHT, DARK]


def test_long_names_of_classes_do_not_run_into_one_another() -> None:
    names = ["background", "portal_vein_and_splenic_vein", "inferior_vena_cava"]
    drawn = np.asarray(draw_confusion(pd.DataFrame(np.eye(3, dtype=int), index=names, columns=names)))
    height, width = drawn.shape[:2]
    left, top = width - 8 - 3 * CELL, height - 8 - 3 * CELL
    # "predicted" stands over the names, in the first line.
    inked = (drawn[30:top, left:] < 128).all(axis=2).any(axis=0)
    for column in (1, 2):
        assert not inked[column * CELL - 4 : column * CELL + 4].any()


@pytest.fixture
def datalist(tmp_path: Path) -> Path:
    return films(tmp_path / "set")


def test_all_pictures_of_an_evaluation_are_written(tmp_path: Path, datalist: Path) -> None:
    view = view_evaluation(evaluated(tmp_path / "evaluation", datalist))
    history = [{"epoch": 1.0, "train_loss": 0.7}, {"epoch": 2.0, "train_loss": 0.5}]
    steps: list[int] = []
    material = Material(view, CaseSource.of(view, datalist), history=history)
    notes = write_pictures(material, tmp_path / "pictures", lambda: steps.append(1))
    assert notes == []
    for name in ("collage.png", "confusion.png", "curves.png"):
        with Image.open(tmp_path / "pictures" / name) as picture:
            assert picture.width > 200
    triptychs = sorted(path.name for path in (tmp_path / "pictures" / "triptychs").iterdir())
    assert triptychs == sorted(path.name for path in (tmp_path / "pictures" / "overlays").iterdir())
    assert len(triptychs) == len(steps) >= 9
    worst = str(view.images.sort_values("dice")["image"].iloc[0])
    assert triptychs[0].startswith("01_")
    assert view.images.set_index("image")["dice"][f"images/{triptychs[0][3:]}"] == pytest.approx(
        view.images.set_index("image")["dice"][worst]
    )


def test_a_mask_that_is_gone_is_told_and_the_others_are_drawn(tmp_path: Path, datalist: Path) -> None:
    view = view_evaluation(evaluated(tmp_path / "evaluation", datalist))
    next((tmp_path / "evaluation" / "masks").glob("*.png")).unlink()
    notes = write_pictures(Material(view, CaseSource.of(view, datalist)), tmp_path / "pictures")
    assert sum("is not drawn" in note for note in notes) <= 1
    assert str(tmp_path) not in " ".join(notes)
    assert (tmp_path / "pictures" / "collage.png").is_file()


def test_without_a_datalist_there_is_nothing_to_draw(tmp_path: Path, datalist: Path) -> None:
    folder = evaluated(tmp_path / "evaluation", datalist)
    with pytest.raises(InvalidOption, match="give the datalist with --data"):
        write_report(folder, tmp_path / "page.html", pictures=tmp_path / "pictures")
    assert not (tmp_path / "page.html").exists()


def test_pictures_that_are_there_stay_unless_they_may_go(tmp_path: Path, datalist: Path) -> None:
    folder = evaluated(tmp_path / "evaluation", datalist)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "mine.txt").write_text("mine")
    with pytest.raises(OutputExists, match="is not empty"):
        write_report(folder, tmp_path / "page.html", datalist=datalist, pictures=tmp_path / "pictures")
    assert not (tmp_path / "page.html").exists()
    write_report(folder, tmp_path / "page.html", datalist=datalist, pictures=tmp_path / "pictures", overwrite=True)
    assert (tmp_path / "pictures" / "mine.txt").read_text() == "mine"
    assert (tmp_path / "pictures" / "collage.png").is_file()


def test_pictures_of_an_earlier_report_do_not_stay_beside_the_new_ones(tmp_path: Path, datalist: Path) -> None:
    view = view_evaluation(evaluated(tmp_path / "evaluation", datalist))
    pictures = tmp_path / "pictures"
    (pictures / "triptychs").mkdir(parents=True)
    (pictures / "triptychs" / "01_former_worst.png").write_bytes(b"former")
    (pictures / "curves.png").write_bytes(b"former")
    write_pictures(Material(view, CaseSource.of(view, datalist)), pictures)  # without a history
    assert not (pictures / "triptychs" / "01_former_worst.png").exists()
    assert sorted(path.name for path in pictures.iterdir()) == ["collage.png", "confusion.png", "overlays", "triptychs"]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("images/film.01.png", "film.01"),
        ("ct.nii.gz#slice=3", "ct_slice_0003"),
        ("series 1#slice=14", "series_1_slice_0014"),
    ],
)
def test_files_are_called_by_the_case_and_its_slice(name: str, file: str) -> None:
    assert picture_files._plain(name) == file


@pytest.mark.parametrize("size", [(512, 512), (120, 200)])
def test_title_and_key_of_a_triptych_have_room_whatever_its_width(size: tuple[int, int]) -> None:
    classes = ["right_lung", "left_lung", "cardiomediastinum", "airways"]
    black = np.zeros(size, np.uint8)
    one = CasePicture(black, black, (black,), black, None)
    title = "film_0012.png: " + "; ".join(f"{name} Dice 0.985, 95 % Hausdorff 1.4 px" for name in classes)
    sheet = np.asarray(triptych(one, classes, title)).swapaxes(0, 1)
    height = sheet.shape[1] - size[1] - 8  # of the head
    colours = class_colours(classes, (255, 255, 255))
    for number in range(1, len(classes) + 1):
        assert (np.abs(sheet[:, :height].astype(int) - colours[number]).sum(-1) == 0).sum() > 60, classes[number - 1]
    # Nothing is written into the last columns, where it would be cut off.
    assert (sheet[-4:, :height] == 255).all()


@pytest.mark.parametrize("number", [1, 2])
def test_the_key_of_a_collage_has_room_whatever_its_width(number: int) -> None:
    sheet = np.asarray(collage([(f"case {k}", case()) for k in range(number)], "From the worst to the best"))
    assert (sheet[:50, -4:] == 255).all()
    for colour in (PREDICTION, REFERENCE):
        assert (np.abs(sheet[:60].astype(int) - colour).sum(-1) == 0).sum() > 60
