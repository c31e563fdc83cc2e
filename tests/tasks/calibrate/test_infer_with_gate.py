"""`planar infer` with a gate: a verdict beside each mask."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from pipeline.bundle import Bundle
from pipeline.cli import main
from pipeline.errors import InvalidOption, OutputExists
from pipeline.tasks.infer import infer
from pipeline.tasks.infer.predictor import Predictor


@pytest.fixture
def pictures(cells: Path, tmp_path: Path) -> Path:
    """Two cells, and pictures that are none."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in (35, 36):
        shutil.copy(cells.parent / f"cell_{number}.png", folder / f"cell_{number}.png")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (72, 60, 3)).astype(np.uint8)).save(folder / "noise.png")
    Image.fromarray(np.full((72, 60, 3), 90, np.uint8)).save(folder / "blank.png")
    picture = np.asarray(Image.open(cells.parent / "cell_35.png"))
    Image.fromarray(255 - picture).save(folder / "negative.png")
    return folder


def verdicts(out: Path) -> dict[str, dict]:  # type: ignore[type-arg]
    return {
        path.name.removesuffix("_quality.json"): json.loads(path.read_text()) for path in out.glob("*_quality.json")
    }


def test_cells_are_accepted_and_other_pictures_sent_to_review(
    calibrated: Bundle, pictures: Path, tmp_path: Path
) -> None:
    result = infer(str(calibrated.root), [str(pictures)], tmp_path / "out", review_list=tmp_path / "review.csv")
    found = verdicts(tmp_path / "out")
    assert {name for name, verdict in found.items() if verdict["decision"] == "accept"} == {"cell_35", "cell_36"}
    assert {Path(one.file).stem for one in result.to_review} == {"noise", "blank", "negative"}
    assert all(found[name]["reasons"] for name in ("noise", "blank", "negative"))
    with (tmp_path / "review.csv").open(encoding="utf-8") as file:
        assert [Path(row["file"]).stem for row in csv.DictReader(file)] == ["blank", "negative", "noise"]


def test_a_verdict_says_what_it_rests_on(calibrated: Bundle, pictures: Path, tmp_path: Path) -> None:
    infer(str(calibrated.root), [str(pictures / "cell_35.png"), str(pictures / "noise.png")], tmp_path / "out")
    found = verdicts(tmp_path / "out")
    good = found["cell_35"]
    assert good["masks"] == ["cell_35_mask.png"]
    low, high = good["predicted_dice_interval"]
    assert low <= good["predicted_dice"] <= high
    assert good["predicted_dice"] == pytest.approx(np.mean(list(good["predicted_dice_by_class"].values())), abs=1e-3)
    assert good["calibrated_on"] == {"data": "cells", "part": "validation", "images": 10, "subjects": 10}
    assert good["limits"]["distance"] > good["distance"]
    # Beyond the limit nothing is known of the interval.
    assert found["noise"]["distance"] > good["limits"]["distance"]
    assert found["noise"]["predicted_dice_interval"] is None


def test_masks_are_the_same_with_and_without_the_gate(calibrated: Bundle, pictures: Path, tmp_path: Path) -> None:
    infer(str(calibrated.root), [str(pictures)], tmp_path / "with")
    without = infer(str(calibrated.root), [str(pictures)], tmp_path / "without", gate=False)
    for mask in without.masks:
        assert mask.read_bytes() == (tmp_path / "with" / mask.name).read_bytes()
    assert not list((tmp_path / "without").glob("[!.]*.json"))
    assert not without.judged
    assert not without.not_judged


def test_the_gate_asks_the_network_once_more_for_each_view(
    calibrated: Bundle, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.networks import UNetWithHead

    asked: list[int] = []
    forward = UNetWithHead.forward
    monkeypatch.setattr(UNetWithHead, "forward", lambda self, image: asked.append(len(image)) or forward(self, image))
    cell = [str(pictures / "cell_35.png")]
    infer(str(calibrated.root), cell, tmp_path / "without", gate=False)
    plain = sum(asked)
    infer(str(calibrated.root), cell, tmp_path / "with")
    # Flip and no flip are two passes; two views, unflipped, are two more.
    assert sum(asked) - plain == 2 * plain


def test_each_slice_of_a_volume_has_its_verdict_and_the_volume_one(
    calibrated: Bundle, pictures: Path, tmp_path: Path
) -> None:
    grey = [np.asarray(Image.open(pictures / f"{name}.png").convert("L")).T for name in ("cell_35", "noise", "blank")]
    nib.save(nib.Nifti1Image(np.stack(grey, axis=-1), np.diag([1.0, 1, 5, 1])), tmp_path / "stack.nii.gz")
    result = infer(str(calibrated.root), [str(tmp_path / "stack.nii.gz")], tmp_path / "out")
    verdict = verdicts(tmp_path / "out")["stack"]
    assert verdict["masks"] == ["stack_mask.nii.gz"]
    assert [one["slice"] for one in verdict["slices"]] == [0, 1, 2]
    assert verdict["slices"][1]["decision"] == "review"
    assert verdict["decision"] == "review"
    assert "slices need review" in verdict["reasons"][0]
    assert len(result.judged) == 1


@pytest.mark.parametrize("change", [{"test_time_flips": False}, {"overrides": ["inferer#overlap=0.5"]}])
def test_what_the_gate_was_not_fitted_to_is_not_judged(
    calibrated: Bundle, pictures: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    result = infer(str(calibrated.root), [str(pictures / "cell_35.png")], tmp_path / "out", **change)  # type: ignore[arg-type]
    assert "fitted to the bundle's own weights and settings" in result.not_judged
    assert len(result.masks) == 1
    assert not verdicts(tmp_path / "out")


def test_another_device_has_the_same_gate(calibrated: Bundle, pictures: Path, tmp_path: Path) -> None:
    cell = [str(pictures / "cell_35.png")]
    result = infer(str(calibrated.root), cell, tmp_path / "out", overrides=["device=cpu"])
    assert (result.not_judged, len(result.judged)) == ("", 1)


def test_a_gate_of_other_weights_judges_nothing_and_says_so(
    gated_bundle: Bundle, pictures: Path, tmp_path: Path
) -> None:
    gate = gated_bundle.root / "models" / "gate.json"
    document = json.loads(gate.read_text())
    gate.write_text(json.dumps(document | {"checkpoint_sha256": "0" * 64}))
    result = infer(str(gated_bundle.root), [str(pictures / "cell_35.png")], tmp_path / "out")
    assert "was fitted to the weights 000000000000" in result.not_judged
    assert len(result.masks) == 1


def test_an_old_verdict_does_not_stay_beside_a_new_mask(calibrated: Bundle, pictures: Path, tmp_path: Path) -> None:
    cell = [str(pictures / "cell_35.png")]
    infer(str(calibrated.root), cell, tmp_path / "out")
    with pytest.raises(OutputExists):
        infer(str(calibrated.root), cell, tmp_path / "out", gate=False)
    infer(str(calibrated.root), cell, tmp_path / "out", gate=False, overwrite=True)
    assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["cell_35_mask.png"]


def test_a_review_list_needs_a_gate(trained_bundle: Bundle, calibrated: Bundle, pictures: Path, tmp_path: Path) -> None:
    cell = [str(pictures / "cell_35.png")]
    with pytest.raises(InvalidOption, match=r"--review-list needs the gate.*planar calibrate"):
        infer(str(trained_bundle.root), cell, tmp_path / "out", review_list=tmp_path / "review.csv")
    with pytest.raises(InvalidOption, match="Leave out --no-gate"):
        infer(str(calibrated.root), cell, tmp_path / "out", gate=False, review_list=tmp_path / "review.csv")
    assert not (tmp_path / "out").exists()


def test_a_bad_file_between_good_ones_does_not_mix_up_verdicts(
    calibrated: Bundle, pictures: Path, tmp_path: Path
) -> None:
    stack = np.stack([np.asarray(Image.open(pictures / "noise.png").convert("L")).T] * 2, axis=-1)
    nib.save(nib.Nifti1Image(stack, np.diag([1.0, 1, 5, 1])), pictures / "a.nii.gz")
    whole = (pictures / "a.nii.gz").read_bytes()
    (pictures / "a.nii.gz").write_bytes(whole[: len(whole) // 2])
    result = infer(str(calibrated.root), [str(pictures)], tmp_path / "out")
    assert len(result.refused) == 1
    assert verdicts(tmp_path / "out")["cell_35"]["decision"] == "accept"
    assert verdicts(tmp_path / "out")["noise"]["decision"] == "review"


def test_the_summary_counts_and_names_what_needs_review(
    calibrated: Bundle, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["infer", str(calibrated.root), str(pictures), "-o", str(tmp_path / "out"), "--no-tracking"])
    told = capsys.readouterr().out
    assert caught.value.code == 0
    assert "Gate: 2 accepted, 3 to review" in told
    assert f"Review {pictures / 'noise.png'}: The picture is unlike those of the training set" in told


def test_the_watch_changes_nothing_of_what_the_predictor_gives(calibrated: Bundle, pictures: Path) -> None:
    from pipeline.gate import read_gate
    from pipeline.tasks.infer.quality import watched_predictor

    names = [str(pictures / f"{name}.png") for name in ("cell_35", "cell_36", "noise")]
    watched, watch = watched_predictor(calibrated, read_gate(calibrated))
    plain = Predictor(calibrated, (calibrated.weights,), {})
    for one, other in zip(watched(names, probabilities=True), plain(names, probabilities=True), strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
        assert watch.take().mask.shape == (64, 64)
    assert not watch.seen


def test_answers_that_are_no_numbers_are_reviewed(calibrated: Bundle) -> None:
    from pipeline.gate import ClassSignals, read_gate

    gate = read_gate(calibrated)
    n = len(gate.labels) - 1
    signals = ClassSignals(np.full(n, np.nan), np.full(n, np.nan), np.ones(n, dtype=bool))
    lenient = replace(gate, rules=replace(gate.rules, classes={}))
    verdict = lenient.judge(signals, float("nan"), np.zeros((8, 8), np.uint8))
    assert verdict.decision == "review"
    assert "no numbers" in verdict.reasons[0]
    json.dumps(verdict.document(), allow_nan=False)
