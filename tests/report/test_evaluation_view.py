from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evaluation_phantoms import evaluated, films

from pipeline.errors import InvalidDatalist, InvalidEvaluation, MissingFile
from pipeline.report.evaluation import short_names, view_evaluation


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return evaluated(tmp_path / "ev", films(tmp_path / "films"))


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a/x.png", "b/y.png"], ["x.png", "y.png"]),
        (["a/x.png", "b/x.png", "b/y.png"], ["a/x.png", "b/x.png", "y.png"]),
        (["x.png", "a/x.png"], ["x.png", "a/x.png"]),
        (["v.nii.gz#slice=1", "v.nii.gz#slice=2"], ["v.nii.gz#slice=1", "v.nii.gz#slice=2"]),
        (["../../films/one.png"], ["one.png"]),
        ([], []),
    ],
)
def test_a_short_name_is_the_shortest_end_that_no_other_has(paths: list[str], expected: list[str]) -> None:
    assert [short_names(paths)[path] for path in paths] == expected


def test_images_go_from_the_worst_to_the_best_by_the_mean_over_their_classes(folder: Path) -> None:
    view = view_evaluation(folder)
    assert view.classes == ["lung", "heart"]
    table = view.images
    assert table["dice"].is_monotonic_increasing
    own = view.cases[view.cases["image"] == table["image"].iloc[0]]
    assert table["dice"].iloc[0] == pytest.approx(own["dice"].mean())
    assert table["mask"].iloc[0] == own["mask"].iloc[0]
    assert (view.n_subjects, len(table)) == (6, 12)


def test_subjects_are_the_means_of_their_images(folder: Path) -> None:
    view = view_evaluation(folder)
    row = view.subjects.iloc[0]
    own = view.cases[(view.cases["subject"] == row["subject"]) & (view.cases["class"] == row["class"])]
    assert len(own) == 2
    assert row["hd95"] == pytest.approx(own["hd95"].mean())
    assert row["size"] == pytest.approx(own["reference_pixels"].mean())


def test_distances_of_the_other_unit_are_in_no_mean(tmp_path: Path) -> None:
    with_spacing = evaluated(
        tmp_path / "ev", films(tmp_path / "films"), spacing_mm=lambda number: (0.5, 0.5) if number < 8 else None
    )
    view = view_evaluation(with_spacing)
    assert view.unit == "mm"
    in_pixels = set(view.cases.loc[view.cases["distance_unit"] == "px", "subject"])
    assert len(in_pixels) == 2
    found = view.subjects.set_index("subject")
    assert found.loc[list(in_pixels), ["hd95", "asd", "nsd"]].isna().all(axis=None)
    assert found.loc[list(in_pixels), "dice"].notna().all()


def test_an_evaluation_without_masks_has_no_column_for_them(tmp_path: Path) -> None:
    view = view_evaluation(evaluated(tmp_path / "ev", films(tmp_path / "films"), masks=False))
    assert "mask" not in view.images


def test_a_metric_that_nobody_has_is_no_measure(tmp_path: Path) -> None:
    view = view_evaluation(evaluated(tmp_path / "ev", films(tmp_path / "films"), probabilities=False))
    assert [measure.key for measure in view.measures][-1] == "area_error"


def test_what_is_no_evaluation_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="expected an evaluation's folder"):
        view_evaluation(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("damage", "error", "told"),
    [
        (lambda text: text.replace("dice", "kappa", 1), InvalidEvaluation, "lacks the column dice"),
        (lambda text: text.splitlines()[0] + "\n", InvalidEvaluation, "has no rows"),
        (lambda text: text + text.splitlines()[-1] + "\n", InvalidEvaluation, "is there twice"),
        (lambda text: text.replace(",heart,", ",spleen,"), InvalidEvaluation, "has no figures of spleen"),
        (lambda text: 'a,"b\n', InvalidDatalist, "cannot be read"),
    ],
)
def test_a_damaged_table_is_told(folder: Path, damage: object, error: type[Exception], told: str) -> None:
    table = folder / "cases.csv"
    table.write_text(damage(table.read_text()))  # type: ignore[operator]
    with pytest.raises(error, match=told):
        view_evaluation(folder)


def test_a_gate_is_read_and_a_damaged_one_told(folder: Path) -> None:
    assert view_evaluation(folder).gate is None
    (folder / "gate.csv").write_text("image,predicted_dice,decision\nimages/film000.png,,review\n")
    gate = view_evaluation(folder).gate
    assert gate is not None
    assert np.isnan(gate["predicted_dice"].iloc[0])
    (folder / "gate.csv").write_text("image,score\na,1\n")
    with pytest.raises(InvalidEvaluation, match=r"gate\.csv: cannot be read \(expected the columns image, predicted"):
        view_evaluation(folder)
    (folder / "gate.csv").write_text("image,predicted_dice,decision\nimages/other.png,0.9,review\n")
    with pytest.raises(InvalidEvaluation, match="judges none of the 12 images that were scored"):
        view_evaluation(folder)
    with pytest.raises(MissingFile, match=r"mine\.csv is not there; expected the table of planar calibrate --check"):
        view_evaluation(folder, folder / "mine.csv")


def test_names_that_look_like_numbers_stay_names(tmp_path: Path) -> None:
    datalist = films(tmp_path / "films", 2, labels=("background", "007"))
    document = json.loads(datalist.read_text())
    for item in document["test"]:
        item["subject"] = "0012"
    datalist.write_text(json.dumps(document))
    view = view_evaluation(evaluated(tmp_path / "ev", datalist))
    assert view.classes == ["007"]
    assert view.images["subject"].tolist() == ["0012", "0012"]
