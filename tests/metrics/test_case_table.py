from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor

from pipeline.errors import GeometryMismatch, InvalidDatalist
from pipeline.metrics import CaseTable

LABELS = {0: "background", 1: "disc", 2: "cup"}


def case(name: str, subject: str | None, prediction: list[list[int]], reference: list[list[int]]) -> dict[str, Any]:
    def one_hot(mask: list[list[int]]) -> MetaTensor:
        array = np.asarray(mask)
        return MetaTensor(torch.from_numpy(np.stack([array == k for k in LABELS]).astype(np.float32)))

    image = MetaTensor(torch.zeros(1, 2, 2), meta={"filename_or_obj": name})
    extra = {} if subject is None else {"subject": subject}
    return {"image": image, "pred": one_hot(prediction), "label": one_hot(reference), **extra}


def run(folder: Path, *batches: list[dict[str, Any]], times: int = 1) -> Engine:
    engine = Engine(lambda engine, batch: batch)
    CaseTable(folder, LABELS).attach(engine)
    for _ in range(times):
        engine.run(list(batches))
    return engine


A = case("a.png", "s1", [[1, 1], [0, 0]], [[1, 0], [0, 0]])
B = case("b.png", "s1", [[1, 2], [0, 0]], [[1, 2], [0, 0]])
C = case("c.png", None, [[0, 0], [0, 0]], [[2, 2], [0, 0]])


def test_the_table_has_a_row_for_each_case_and_class(tmp_path: Path) -> None:
    run(tmp_path / "new" / "folder", [A, B], [C])
    with (tmp_path / "new" / "folder" / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
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
    assert rows[1]["dice"] == ""
    assert float(rows[1]["accuracy"]) == 1.0
    assert float(rows[5]["dice"]) == 0.0


def test_the_figures_and_their_rules_stand_together(tmp_path: Path) -> None:
    run(tmp_path, [A, B], [C])
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert (record["n_cases"], record["n_subjects"]) == (3, 2)
    assert record["summary"]["cup"]["per_image"]["dice"]["n"] == 2
    assert record["summary"]["disc"]["per_subject"]["dice"]["mean"] == pytest.approx((2 / 3 + 1) / 2)
    assert set(record["rules"]) == {"empty_masks", "aggregation", "units"}
    assert set(record["versions"]) == {"planar", "monai"}


def test_the_means_are_there_for_other_handlers(tmp_path: Path) -> None:
    engine = run(tmp_path, [A, B])
    assert engine.state.metrics["dice_disc"] == pytest.approx((2 / 3 + 1) / 2)
    assert engine.state.metrics["iou_cup"] == 1.0
    assert not any("background" in name for name in engine.state.metrics)


def test_a_class_that_is_nowhere_gets_no_metric_and_valid_json(tmp_path: Path) -> None:
    engine = run(tmp_path, [A])
    assert "dice_cup" not in engine.state.metrics
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["summary"]["cup"]["per_image"]["dice"]["mean"] is None
    assert [(row["class"], row["dice"] is None) for row in record["cases"]] == [("disc", False), ("cup", True)]


def test_a_second_run_does_not_count_the_first(tmp_path: Path) -> None:
    run(tmp_path, [A], times=2)
    assert json.loads((tmp_path / "metrics.json").read_text())["summary"]["disc"]["per_image"]["dice"]["n"] == 1


def test_different_grids_are_refused_by_name_and_nothing_is_written(tmp_path: Path) -> None:
    wrong = {**A, "label": A["label"][:, :1]}
    with pytest.raises(GeometryMismatch, match=r"^a\.png: the prediction is 2×2, the mask 1×2; expected one grid"):
        run(tmp_path, [wrong])
    assert list(tmp_path.iterdir()) == []


def test_no_case_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidDatalist, match="no case to score"):
        run(tmp_path, [])


def test_numbers_in_the_csv_keep_six_digits(tmp_path: Path) -> None:
    run(tmp_path, [A])
    text = (tmp_path / "cases.csv").read_text()
    assert "0.666667" in text
    assert not math.isnan(float(text.splitlines()[1].split(",")[3]))
