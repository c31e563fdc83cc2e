from __future__ import annotations

import csv
import gc
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor
from PIL import Image

from pipeline.errors import (
    GeometryMismatch,
    IncompleteResult,
    InvalidDatalist,
    InvalidOption,
    OutputExists,
    UnknownLabel,
)
from pipeline.metrics import METRICS, CaseTable, read_evaluation
from pipeline.readers import read_picture

LABELS = {0: "background", 1: "disc", 2: "cup"}


def case(
    name: str,
    subject: str | None,
    prediction: list[list[int]],
    reference: list[list[int]],
    meta: dict[str, Any] | None = None,
    probabilities: np.ndarray | None = None,
) -> dict[str, Any]:
    """A case as an evaluator's output holds it; masks are indexed [x, y]."""

    def one_hot(mask: list[list[int]]) -> MetaTensor:
        array = np.asarray(mask)
        return MetaTensor(torch.from_numpy(np.stack([array == k for k in LABELS]).astype(np.float32)))

    image = MetaTensor(torch.zeros(1, 2, 2), meta={"filename_or_obj": name, **(meta or {})})
    extra = {} if subject is None else {"subject": subject}
    if probabilities is not None:
        extra["probabilities"] = MetaTensor(torch.from_numpy(probabilities))
    return {"image": image, "pred": one_hot(prediction), "label": one_hot(reference), **extra}


def engine_with(folder: Path, **options: Any) -> Engine:
    engine = Engine(lambda engine, batch: batch)
    CaseTable(folder, LABELS, **options).attach(engine)
    return engine


def run(folder: Path, *batches: list[dict[str, Any]], **options: Any) -> Engine:
    engine = engine_with(folder, **options)
    engine.run(list(batches))
    return engine


A = case("a.png", "s1", [[1, 1], [0, 0]], [[1, 0], [0, 0]])
B = case("b.png", "s1", [[1, 2], [0, 0]], [[1, 2], [0, 0]])
C = case("c.png", None, [[0, 0], [0, 0]], [[2, 2], [0, 0]])


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_table_has_a_row_for_each_case_and_class(tmp_path: Path) -> None:
    run(tmp_path / "new" / "folder", [A, B], [C])
    rows = rows_of(tmp_path / "new" / "folder")
    assert [(row["image"], row["subject"], row["class"]) for row in rows] == [
        ("a.png", "s1", "disc"),
        ("a.png", "s1", "cup"),
        ("b.png", "s1", "disc"),
        ("b.png", "s1", "cup"),
        ("c.png", "c.png", "disc"),
        ("c.png", "c.png", "cup"),
    ]
    assert float(rows[0]["dice"]) == pytest.approx(2 / 3, abs=1e-6)
    assert float(rows[0]["precision"]) == 0.5
    assert (rows[0]["reference_pixels"], rows[0]["predicted_pixels"]) == ("1", "2")
    assert (rows[0]["area_error"], rows[0]["distance_unit"]) == ("1.000000", "px")
    assert [rows[1][name] for name in ("dice", "hd95", "asd", "nsd", "area_error", "ece")] == [""] * 6
    assert float(rows[1]["accuracy"]) == 1.0
    # A cup that was missed: the diagonal of two by two pixels.
    assert float(rows[5]["dice"]) == float(rows[5]["nsd"]) == 0.0
    assert float(rows[5]["hd95"]) == float(rows[5]["asd"]) == pytest.approx(math.sqrt(8), abs=1e-6)
    assert float(rows[5]["area_error"]) == -1.0


def test_the_figures_and_their_rules_stand_together(tmp_path: Path) -> None:
    run(tmp_path, [A, B], [C])
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert (record["n_cases"], record["n_subjects"]) == (3, 2)
    assert record["summary"]["cup"]["per_image"]["dice"]["n"] == 2
    assert record["summary"]["disc"]["per_subject"]["dice"]["mean"] == pytest.approx((2 / 3 + 1) / 2, abs=1e-6)
    assert set(record["rules"]) >= {"empty_masks", "aggregation", "intervals", "units", "tolerance", "calibration"}
    assert set(record["metrics"]) == set(METRICS)
    assert (record["metrics"]["hd95"]["unit"], record["metrics"]["nsd"]["unit"]) == ("px", "")
    assert record["bootstrap"] == {"resamples": 5000, "seed": 0, "level": 0.95, "unit": "subject"}
    assert set(record["versions"]) >= {"planar", "monai", "numpy", "scipy"}


def test_the_confusion_matrix_adds_up_over_the_images(tmp_path: Path) -> None:
    run(tmp_path, [A, B], [C])
    assert (tmp_path / "confusion.csv").read_text().splitlines() == [
        "reference,background,disc,cup",
        "background,6,1,0",
        "disc,0,2,0",
        "cup,2,0,1",
    ]


def test_the_means_are_there_for_other_handlers(tmp_path: Path) -> None:
    engine = run(tmp_path, [A, B])
    assert engine.state.metrics["dice_disc"] == pytest.approx((2 / 3 + 1) / 2, abs=1e-6)
    assert engine.state.metrics["iou_cup"] == 1.0
    assert engine.state.metrics["hd95_cup"] == 0.0
    assert not any("background" in name or "mean_of_classes" in name for name in engine.state.metrics)


def test_a_class_that_is_nowhere_is_told_as_not_a_number_and_not_left_out(tmp_path: Path) -> None:
    engine = run(tmp_path, [A])
    assert math.isnan(engine.state.metrics["dice_cup"])
    assert math.isnan(engine.state.metrics["hd95_cup"])
    assert "ece_cup" not in engine.state.metrics  # without probabilities it was not measured
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["summary"]["cup"]["per_image"]["dice"]["mean"] is None
    assert [(row["class"], row["dice"] is None) for row in record["cases"]] == [("disc", False), ("cup", True)]


def test_a_second_run_does_not_count_the_first(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, overwrite=True)
    for _ in range(2):
        engine.run([[A]])
    assert json.loads((tmp_path / "metrics.json").read_text())["summary"]["disc"]["per_image"]["dice"]["n"] == 1


def test_the_same_cases_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(tmp_path / name, [A, B], [C])
    for name in ("cases.csv", "metrics.json", "confusion.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


# --- names ---


def datalist(folder: Path) -> Path:
    path = folder / "set" / "datalist.json"
    path.parent.mkdir()
    items = [
        {"image": "../films/a.png", "subject": "f00d", "image_sha256": "aa", "spacing_mm": [0.5, 0.25]},
        {"image": "ct.nii.gz#slice=3", "subject": "0e10", "image_sha256": "bb"},
    ]
    path.write_text(json.dumps({"name": "films", "labels": {"0": "background"}, "test": items}))
    return path


def test_cases_are_called_as_in_the_datalist(tmp_path: Path) -> None:
    films = datalist(tmp_path)
    first = case(str(tmp_path / "films" / "a.png"), None, [[1, 1], [0, 0]], [[1, 0], [0, 0]])
    second = case(str(tmp_path / "set" / "ct.nii.gz#slice=3"), None, [[1, 1], [0, 0]], [[1, 0], [0, 0]])
    stranger = case(str(tmp_path / "other.png"), "s9", [[1, 1], [0, 0]], [[1, 0], [0, 0]])
    run(tmp_path / "out", [first], [second], [stranger], datalist=films, split="test")
    evaluation = read_evaluation(tmp_path / "out")
    names = evaluation.cases[evaluation.cases["class"] == "disc"]
    assert names["image"].tolist() == ["../films/a.png", "ct.nii.gz#slice=3", "../other.png"]
    # A hash that reads as a number stays what it is.
    assert names["subject"].tolist() == ["f00d", "0e10", "s9"]
    assert names["image_sha256"].tolist() == ["aa", "bb", ""]
    assert (evaluation.record["data"], evaluation.record["split"]) == ("films", "test")
    for path in (tmp_path / "out").iterdir():
        assert str(tmp_path) not in path.read_text()


def test_a_datalist_that_is_reached_by_a_link_names_its_cases_too(tmp_path: Path) -> None:
    films = datalist(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "set", target_is_directory=True)
    one = case(str(tmp_path / "set" / "ct.nii.gz#slice=3"), None, [[1, 1], [0, 0]], [[1, 0], [0, 0]])
    run(tmp_path / "out", [one], datalist=tmp_path / "link" / films.name)
    assert rows_of(tmp_path / "out")[0]["image_sha256"] == "bb"


def test_without_a_datalist_names_are_relative_to_what_the_images_share(tmp_path: Path) -> None:
    paths = [tmp_path / "x" / "a.png", tmp_path / "y" / "a.png"]
    run(tmp_path / "out", [case(str(path), None, [[1, 1], [0, 0]], [[1, 0], [0, 0]]) for path in paths])
    assert [(row["image"], row["subject"]) for row in rows_of(tmp_path / "out")[::2]] == [
        ("x/a.png",) * 2,
        ("y/a.png",) * 2,
    ]
    assert str(tmp_path) not in (tmp_path / "out" / "metrics.json").read_text()


def test_the_record_says_of_which_bundle_and_weights(tmp_path: Path) -> None:
    configs = tmp_path / "my_bundle" / "configs"
    configs.mkdir(parents=True)
    (configs / "metadata.json").write_text('{"data_source": "the Shenzhen films"}')
    (tmp_path / "model.pt").write_bytes(b"weights")
    run(tmp_path / "out", [A], bundle_root=tmp_path / "my_bundle", checkpoint=tmp_path / "model.pt")
    record = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (record["bundle"], record["trained_on"]) == ("my_bundle", "the Shenzhen films")
    assert record["checkpoint_sha256"] == hashlib.sha256(b"weights").hexdigest()


# --- units ---


def test_distances_are_millimetres_where_the_spacing_is_known(tmp_path: Path) -> None:
    masks = [[1, 1, 0, 0]] * 3, [[0, 0, 1, 1]] * 3  # moved by two along y
    known = case("known.png", None, *masks, meta={"spacing_mm": np.array([0.5, 4.0])})
    unknown = case("unknown.png", None, *masks, meta={"spacing_mm": np.array([np.nan, np.nan])})
    run(tmp_path, [known, unknown], nsd_tolerance={"mm": 8.0, "px": 1.0})
    first, second = read_evaluation(tmp_path).cases.iloc[[0, 2]].to_dict("records")
    assert (first["distance_unit"], first["hd95"], first["asd"], first["nsd"]) == ("mm", 8.0, pytest.approx(6.0), 1.0)
    assert (first["reference_pixels"], first["reference_area"]) == (6, 12.0)
    assert (second["distance_unit"], second["hd95"], second["nsd"]) == ("px", 2.0, pytest.approx(0.5))
    assert second["reference_area"] == 6.0
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["distance_unit"] == "mm"
    assert record["notes"] == [
        "The spacing is known of some images only: distances in the summary are in mm, over the 1 of 2 images that "
        "have them in it."
    ]
    assert record["nsd_tolerance"] == {"mm": 8.0, "px": 1.0}
    assert "8 mm" in record["rules"]["tolerance"]


def test_a_spacing_that_only_the_datalist_knows_is_taken_from_there(tmp_path: Path) -> None:
    films = datalist(tmp_path)
    one = case(str(tmp_path / "films" / "a.png"), None, [[1, 1], [0, 0]], [[1, 0], [0, 0]])
    run(tmp_path / "out", [one], datalist=films)
    assert rows_of(tmp_path / "out")[0]["distance_unit"] == "mm"
    assert float(rows_of(tmp_path / "out")[0]["predicted_area"]) == 2 * 0.5 * 0.25


@pytest.mark.parametrize("tolerance", [{"mm": -1.0}, {"px": math.inf}, {"pixels": 2.0}, {"mm": "2"}])
def test_a_tolerance_that_is_none_is_refused(tmp_path: Path, tolerance: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match="nsd_tolerance"):
        CaseTable(tmp_path, LABELS, nsd_tolerance=tolerance)


# --- calibration ---


def test_the_calibration_is_of_the_probabilities_near_the_foreground(tmp_path: Path) -> None:
    mask = np.zeros((30, 20), int)
    mask[10:14, 10:13] = 1
    probabilities = np.zeros((3, 30, 20), np.float32)
    probabilities[0] = 1.0  # far away: sure and right
    near = (slice(None), slice(9, 15), slice(9, 14))  # a tenth of four or three pixels is one pixel
    probabilities[near] = np.array([0.3, 0.6, 0.1])[:, None, None]
    run(tmp_path, [case("a.png", None, mask.tolist(), mask.tolist(), probabilities=probabilities)])
    evaluation = read_evaluation(tmp_path)
    (row,) = evaluation.calibration[evaluation.calibration["pixels"] > 0].to_dict("records")
    assert row["pixels"] == 6 * 5
    assert (row["bin_low"], row["bin_high"]) == (0.6, 0.65)
    assert (row["confidence"], row["accuracy"]) == pytest.approx((0.6, 12 / 30), abs=1e-6)
    assert evaluation.record["calibration"]["ece"] == pytest.approx(0.2, abs=1e-6)
    assert evaluation.cases["ece"].tolist() == pytest.approx([0.2, 0.2], abs=1e-6)


def test_without_probabilities_there_is_no_calibration(tmp_path: Path) -> None:
    run(tmp_path, [A])
    assert not (tmp_path / "calibration.csv").exists()
    evaluation = read_evaluation(tmp_path)
    assert evaluation.calibration is None
    assert evaluation.record["calibration"] is None
    assert "Not measured" in evaluation.record["rules"]["calibration"]


def test_probabilities_that_are_no_numbers_are_told_by_case_and_leave_the_others_counted(tmp_path: Path) -> None:
    good = np.full((3, 2, 2), 1 / 3, np.float32)
    bad = np.full((3, 2, 2), np.nan, np.float32)
    first, second = ({**c, "probabilities": MetaTensor(torch.from_numpy(p))} for c, p in ((A, bad), (B, good)))
    run(tmp_path, [first, second])
    record = json.loads((tmp_path / "metrics.json").read_text())
    (fault,) = record["faults"]
    assert fault.startswith("a.png: the network's probabilities are no numbers")
    assert record["summary"]["disc"]["per_image"]["ece"]["n"] == 1
    assert sum(row["pixels"] for row in record["calibration"]["bins"]) == 4


# --- masks ---


def film(folder: Path, name: str, shape: tuple[int, int] = (4, 3)) -> dict[str, Any]:
    """The metadata of a grey film of that many columns and rows that really is there."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", shape).save(path)
    return {"filename_or_obj": str(path), **read_picture(str(path)).meta()}


def test_masks_are_written_on_the_source_grid_with_readable_names(tmp_path: Path) -> None:
    prediction = [[0, 1, 2], [0, 0, 0], [1, 1, 1], [2, 0, 0]]  # x first
    names = ("x/a.png", "x/a.jpg", "y/A.png", "y/b.c.png")
    batch = [
        case(meta["filename_or_obj"], None, prediction, prediction, meta) for meta in (film(tmp_path, n) for n in names)
    ]
    run(tmp_path / "out", batch, save_masks=True)
    cases = read_evaluation(tmp_path / "out").cases
    assert cases["mask"].tolist()[::2] == ["masks/a.png", "masks/a.jpg.png", "masks/A.png.png", "masks/b.c.png"]
    for name in cases["mask"]:
        with Image.open(tmp_path / "out" / name) as picture:
            written = np.asarray(picture)
        np.testing.assert_array_equal(written, np.asarray(prediction).T)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "masks",
        "cases.csv",
        "confusion.csv",
        "metrics.json",
    }


def test_slices_get_their_number(tmp_path: Path) -> None:
    from pipeline.metrics.case_names import MaskNames

    names = MaskNames()
    assert [names.name(f"ct.nii.gz#slice={k}") for k in (2, 12)] == ["ct_2.png", "ct_12.png"]
    assert [names.name(name) for name in ("p/s.png", "q/s.png", "r/s.png")] == ["s.png", "s.png.png", "s_2.png"]


def test_without_masks_the_column_is_empty(tmp_path: Path) -> None:
    run(tmp_path, [A])
    assert rows_of(tmp_path)[0]["mask"] == ""
    assert not (tmp_path / "masks").exists()


# --- whole or not at all ---


def test_an_evaluation_is_not_overwritten_unasked(tmp_path: Path) -> None:
    run(tmp_path, [A])
    before = (tmp_path / "metrics.json").read_bytes()
    done = []
    engine = engine_with(tmp_path)
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: done.append(1))
    with pytest.raises(OutputExists, match=r"cases\.csv.*Give --overwrite \(overwrite: true in evaluate\.yaml\)"):
        engine.run([[B]])
    assert done == []  # told before anything is computed
    assert (tmp_path / "metrics.json").read_bytes() == before


def test_overwriting_leaves_nothing_of_the_former_evaluation(tmp_path: Path) -> None:
    out = tmp_path / "out"
    meta = film(tmp_path, "a.png", (2, 2))
    good = np.full((3, 2, 2), 1 / 3, np.float32)
    run(out, [case(meta["filename_or_obj"], None, [[1, 1], [0, 0]], [[1, 0], [0, 0]], meta, good)], save_masks=True)
    (out / "gate.csv").write_text("of the former masks")
    (out / "notes.txt").write_text("mine")
    assert (out / "calibration.csv").exists()
    assert (out / "masks").exists()
    run(out, [B], overwrite=True)
    assert {path.name for path in out.iterdir()} == {"cases.csv", "confusion.csv", "metrics.json", "notes.txt"}
    assert rows_of(out)[0]["image"] == "b.png"


def test_different_grids_are_refused_by_name_and_nothing_is_written(tmp_path: Path) -> None:
    wrong = {**A, "label": A["label"][:, :1]}
    with pytest.raises(GeometryMismatch, match=r"^a\.png: the prediction is 2×2, the mask 1×2; expected one grid"):
        run(tmp_path, [wrong])
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_middle_publishes_no_part_and_leaves_no_masks(tmp_path: Path) -> None:
    out = tmp_path / "out"
    meta = film(tmp_path, "a.png", (2, 2))
    first = case(meta["filename_or_obj"], None, [[1, 1], [0, 0]], [[1, 0], [0, 0]], meta)
    with pytest.raises(GeometryMismatch):
        run(out, [first], [{**A, "label": A["label"][:, :1]}], save_masks=True)
    assert not (out / "masks").exists()
    gc.collect()
    assert list(out.iterdir()) == []


def test_a_run_that_is_ended_early_publishes_nothing(tmp_path: Path) -> None:
    engine = engine_with(tmp_path)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda engine: engine.terminate())
    with pytest.raises(IncompleteResult, match="ended after 2 of all cases, and nothing was written"):
        engine.run([[A], [B], [C]])
    assert list(tmp_path.iterdir()) == []


def test_a_loader_of_which_only_a_part_is_used_publishes_nothing(tmp_path: Path) -> None:
    class Loader(list):
        dataset = (1, 2, 3)

    engine = engine_with(tmp_path)
    with pytest.raises(IncompleteResult, match="ended after 2 of 3 cases"):
        engine.run(Loader([[A], [B], [C]]), epoch_length=2)
    assert list(tmp_path.iterdir()) == []


def test_no_case_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidDatalist, match="no case to score"):
        run(tmp_path, [])


def test_numbers_in_the_csv_keep_six_digits(tmp_path: Path) -> None:
    run(tmp_path, [A])
    assert rows_of(tmp_path)[0]["dice"] == "0.666667"


def test_classes_that_the_labels_do_not_have_are_refused() -> None:
    from pipeline.metrics import Tally

    with pytest.raises(
        UnknownLabel, match=r"a\.png: the mask holds class 3; expected 0 to 2 \(background, disc, cup\)"
    ):
        Tally(LABELS).add("a.png", np.zeros((2, 2), int), np.full((2, 2), 3))


def test_slices_of_a_volume_are_one_subject_where_none_is_named() -> None:
    from pipeline.metrics import Tally

    tally = Tally(LABELS)
    mask = np.ones((3, 3), int)
    for name in ("/a/ct.nii.gz#slice=0", "/a/ct.nii.gz#slice=1", "/a/film.png"):
        tally.add(name, mask, mask)
    tally.rename(["ct.nii.gz#slice=0", "ct.nii.gz#slice=1", "film.png"])
    assert set(tally.cases()["subject"]) == {"ct.nii.gz", "film.png"}
