"""A gate fitted to a bundle of several classes, in colour, with sliding windows."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.bundle import Bundle
from pipeline.errors import InvalidBundle, InvalidDatalist, OutputExists
from pipeline.gate import gate_path, read_gate
from pipeline.tasks.calibrate import calibrate, check_gate


def test_most_predictions_of_unseen_cells_are_accepted_and_their_dice_foretold(
    calibrated: Bundle, cells: Path, tmp_path: Path
) -> None:
    result = check_gate(str(calibrated.root), cells, "test", tmp_path / "gate.csv")
    assert result.summary["images"] == 10
    assert result.summary["accepted"] >= 8
    assert result.summary["mean_absolute_error"] < 0.05
    for case in result.cases:
        assert case.dice is not None
        assert case.dice > 0.8
        assert set(case.verdict.by_class) == {"rim", "core"}


def test_a_check_on_the_masks_it_was_fitted_to_says_so(calibrated: Bundle, cells: Path, tmp_path: Path) -> None:
    notes = check_gate(str(calibrated.root), cells, "validation", tmp_path / "gate.csv").notes
    assert any("of the masks it was fitted to" in note for note in notes)
    assert not check_gate(str(calibrated.root), cells, "test", tmp_path / "other.csv").notes


def test_the_table_has_a_row_a_case_and_names_images_as_the_datalist_does(
    calibrated: Bundle, cells: Path, tmp_path: Path
) -> None:
    result = check_gate(str(calibrated.root), cells, "test", tmp_path / "gate.csv")
    with result.table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["image", "predicted_dice", "distance", "decision", "reasons"]
    assert [row["image"] for row in rows] == [item["image"] for item in json.loads(cells.read_text())["test"]]
    assert {row["decision"] for row in rows} <= {"accept", "review"}
    assert all((row["decision"] == "review") == bool(row["reasons"]) for row in rows)
    figures = json.loads((tmp_path / "gate.json").read_text())
    assert figures == json.loads(json.dumps(result.summary))
    assert figures["risk_coverage"]["aurc"] >= figures["risk_coverage"]["aurc_oracle"]


def test_the_gate_is_the_same_byte_for_byte_and_holds_no_path(
    gated_bundle: Bundle, calibrated: Bundle, cells: Path
) -> None:
    result = calibrate(str(gated_bundle.root), cells, variants=8, minimum_dice=0.8, overwrite=True)
    text = gate_path(gated_bundle).read_text()
    assert text == gate_path(calibrated).read_text()
    assert len(text) < 300_000
    assert str(cells.parent) not in text
    assert "cell_" not in text
    assert not result.notes
    document = json.loads(text)
    assert document["fitted_on"]["images"] == 10
    # The minimum was given, so that the risk is held.
    assert document["held_out"]["accepted_below_minimum"] <= document["aim"]["risk"]
    assert document["fitted_on"]["predictions"] == 90
    assert document["fitted_on"]["made_worse"] == 80
    assert document["fitted_on"]["compared_with"]["images"] == 24


def test_another_seed_makes_another_gate(gated_bundle: Bundle, calibrated: Bundle, cells: Path) -> None:
    calibrate(str(gated_bundle.root), cells, variants=8, minimum_dice=0.8, seed=1, overwrite=True)
    assert gate_path(gated_bundle).read_text() != gate_path(calibrated).read_text()


def test_what_is_made_worse_scores_worse_and_is_foretold_worse(calibrated: Bundle) -> None:
    record = json.loads(gate_path(calibrated).read_text())
    assert record["dice"]["all"]["mean"] < record["dice"]["as_they_are"]["mean"]
    assert record["held_out"]["aurc"] < 1 - record["dice"]["all"]["mean"]


def test_a_gate_is_not_replaced_unasked(gated_bundle: Bundle, cells: Path) -> None:
    with pytest.raises(OutputExists, match=r"gate\.json exists.*--overwrite"):
        calibrate(str(gated_bundle.root), cells)


def test_the_gate_is_refused_when_the_weights_have_changed(gated_bundle: Bundle) -> None:
    weights = torch.load(gated_bundle.weights, weights_only=True)
    torch.save({name: value + 0.01 for name, value in weights.items()}, gated_bundle.weights)
    with pytest.raises(InvalidBundle, match=r"was fitted to the weights \w{12}….*planar calibrate"):
        read_gate(gated_bundle)


def test_the_gate_is_refused_when_the_settings_have_changed_but_not_for_a_comment(gated_bundle: Bundle) -> None:
    config = gated_bundle.config("inference")
    text = config.read_text()
    config.write_text("# a remark\n" + text.replace('output_ext: ".png"', 'output_ext: ".nii.gz"'))
    read_gate(gated_bundle)
    config.write_text(text.replace("lower: 0.5", "lower: 2.0"))
    with pytest.raises(InvalidBundle, match=r"inference\.yaml has changed"):
        read_gate(gated_bundle)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": "planar-gate/9"}', '{"format": "planar-gate/1"}'])
def test_a_file_that_is_no_gate_is_told(gated_bundle: Bundle, content: str) -> None:
    gate_path(gated_bundle).write_text(content)
    with pytest.raises(InvalidBundle, match=r"gate\.json: is no gate of this version.*planar calibrate"):
        read_gate(gated_bundle)


def test_limits_of_quality_yaml_win(gated_bundle: Bundle) -> None:
    rules = gated_bundle.root / "configs" / "quality.yaml"
    rules.write_text(rules.read_text() + "limits: {predicted_dice: 0.999}\n")
    gate = read_gate(gated_bundle)
    assert gate.dice_limit == 0.999
    assert gate.distance_limit == json.loads(gate_path(gated_bundle).read_text())["limits"]["distance"]


def test_rules_that_right_masks_break_are_noted(gated_bundle: Bundle, cells: Path) -> None:
    rules = gated_bundle.root / "configs" / "quality.yaml"
    rules.write_text("classes: {core: {area_share: [0.5, 0.9]}}")
    result = calibrate(str(gated_bundle.root), cells, variants=3, overwrite=True)
    assert any("10 of 10 reference masks break a rule" in note for note in result.notes)


def test_a_network_that_has_learned_nothing_has_all_reviewed(gated_bundle: Bundle, cells: Path) -> None:
    weights = torch.load(gated_bundle.weights, weights_only=True)
    generator = torch.Generator().manual_seed(0)
    torch.save({name: torch.randn(v.shape, generator=generator) for name, v in weights.items()}, gated_bundle.weights)
    result = calibrate(str(gated_bundle.root), cells, variants=2, overwrite=True)
    assert any("All go to review" in note for note in result.notes)
    assert result.gate.dice_limit > 1


def test_a_set_without_masks_is_checked_without_scores(calibrated: Bundle, cells: Path, tmp_path: Path) -> None:
    document = json.loads(cells.read_text())
    document["test"] = [{"image": str(cells.parent / item["image"])} for item in document["test"][:2]]
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "noise.png").read_bytes()[:99])
    document["test"] += [{"image": "noise.png"}, {"image": "cut.png"}]
    (tmp_path / "bare.json").write_text(json.dumps(document))
    result = check_gate(str(calibrated.root), tmp_path / "bare.json", "test", tmp_path / "gate.csv")
    assert "risk_coverage" not in result.summary
    assert [case.dice for case in result.cases] == [None] * 3
    assert result.cases[2].verdict.decision == "review"
    assert [refusal.file for refusal in result.refused] == ["cut.png"]


def test_pictures_need_a_training_part_to_be_compared_with(trained_bundle: Bundle, cells: Path, tmp_path: Path) -> None:
    document = json.loads(cells.read_text())
    for part in ("training", "validation"):
        for item in document[part]:
            item |= {key: str(cells.parent / item[key]) for key in ("image", "label")}
    document["training"] = document["training"][:3]
    (tmp_path / "few.json").write_text(json.dumps(document))
    with pytest.raises(InvalidDatalist, match="3 training cases; expected at least 5"):
        calibrate(str(trained_bundle.root), tmp_path / "few.json")
