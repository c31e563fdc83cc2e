from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from raw_sets import disc, texture, write_datalist

from benchmarks.cases import Case, cases_of, save_mask
from benchmarks.scoring import difference, score
from pipeline.bundle import Bundle
from pipeline.errors import MissingFile
from pipeline.metrics import read_evaluation

LABELS = {0: "background", 1: "disc"}


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    """Three test cases of 40 × 30 pixels."""
    for k in range(3):
        Image.fromarray(texture(40, 30, k).astype(np.uint8)).save(tmp_path / f"{k}.png")
        Image.fromarray(disc(40, 30)).save(tmp_path / f"{k}_mask.png")
    data = write_datalist(tmp_path, [f"{k}.png" for k in range(3)], [f"{k}_mask.png" for k in range(3)])
    document = json.loads(data.read_text())
    items = [*document["training"], *document["validation"], *document["test"]]
    data.write_text(json.dumps(document | {"training": [], "validation": [], "test": items}))
    return cases_of(data, ["test"])


def masks_of(cases: list[Case], folder: Path, shifts: list[int]) -> Path:
    for case, shift in zip(cases, shifts, strict=True):
        save_mask(disc(40, 30, shift).T, case, folder)
    return folder


def test_perfect_masks_score_one_and_no_distance(cases: list[Case], tmp_path: Path) -> None:
    found = score(cases, LABELS, masks_of(cases, tmp_path / "masks", [0, 0, 0]), tmp_path / "scores")
    assert found.cases["dice"].tolist() == [1, 1, 1]
    assert found.cases["hd95"].tolist() == [0, 0, 0]
    assert found.cases["distance_unit"].tolist() == ["px"] * 3


def test_a_shift_is_the_distance(cases: list[Case], tmp_path: Path) -> None:
    found = score(cases, LABELS, masks_of(cases, tmp_path / "masks", [0, 2, 3]), tmp_path / "scores")
    assert found.cases["image"].tolist() == ["0.png", "1.png", "2.png"]
    assert found.cases["hd95"].tolist() == pytest.approx([0, 2, 3], abs=0.5)
    overlap = 2 * (disc(40, 30) & disc(40, 30, 3)).sum() / (disc(40, 30).sum() + disc(40, 30, 3).sum())
    assert found.cases["dice"][2] == pytest.approx(overlap, abs=1e-6)


def test_scores_are_an_evaluation_folder_with_its_masks(cases: list[Case], tmp_path: Path) -> None:
    masks = masks_of(cases, tmp_path / "masks", [0, 1, 2])
    score(cases, LABELS, masks, tmp_path / "scores", {"bundle": "peer", "split": "test"})
    again = score(cases, LABELS, masks, tmp_path / "scores", {"bundle": "peer", "split": "test"})
    found = read_evaluation(tmp_path / "scores")
    assert found.record == again.record
    assert found.record["bundle"] == "peer"
    for row in found.cases.itertuples():
        assert (tmp_path / "scores" / row.mask).read_bytes() == (masks / Path(row.mask).name).read_bytes()
    assert len(list(masks.iterdir())) == 3


def test_the_difference_is_ours_minus_theirs(cases: list[Case], tmp_path: Path) -> None:
    ours = score(cases, LABELS, masks_of(cases, tmp_path / "a", [0, 1, 4]), tmp_path / "scores_a")
    theirs = score(cases, LABELS, masks_of(cases, tmp_path / "b", [2, 2, 2]), tmp_path / "scores_b")
    dice = difference(ours, theirs, "disc", "dice")
    expected = ours.cases["dice"].to_numpy() - theirs.cases["dice"].to_numpy()
    assert dice["mean"] == pytest.approx(expected.mean(), abs=1e-5)
    assert (dice["n"], dice["wins"]) == (3, 2)
    assert dice["ci_low"] <= dice["mean"] <= dice["ci_high"]
    far = difference(ours, theirs, "disc", "hd95")
    assert far["wins"] == 2  # smaller is better
    json.dumps([dice, far], allow_nan=False)


def test_a_case_without_a_mask_is_told(cases: list[Case], tmp_path: Path) -> None:
    masks = masks_of(cases, tmp_path / "masks", [0, 0, 0])
    (masks / f"{cases[1].name}.png").unlink()
    with pytest.raises(MissingFile, match=r"1\.png"):
        score(cases, LABELS, masks, tmp_path / "scores")


def test_planar_as_a_peer_gets_the_scores_of_planar_evaluate(
    phantom_datalist: Path, random_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.planar import prediction
    from pipeline.tasks.evaluate import evaluate

    arguments = [str(random_bundle.root), "--data", str(phantom_datalist), "--masks", str(tmp_path / "masks")]
    monkeypatch.setattr("sys.argv", ["prediction", *arguments])
    prediction.main()
    cases = cases_of(phantom_datalist, ["test"])
    found = score(cases, {0: "background", 1: "lung"}, tmp_path / "masks", tmp_path / "scores")
    evaluate(str(random_bundle.root), phantom_datalist, "test", tmp_path / "evaluation", tracking=False)
    expected = read_evaluation(tmp_path / "evaluation")
    assert found.cases["image"].tolist() == expected.cases["image"].tolist()
    for column in ("dice", "hd95", "reference_pixels", "predicted_pixels"):
        np.testing.assert_allclose(found.cases[column], expected.cases[column], atol=1e-6)
