"""From a cross-validation to the bundle of what is best, as stock MONAI takes it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from pipeline.errors import InvalidDatalist, InvalidOption, MissingFile, OutputExists
from pipeline.networks import FoldEnsemble
from pipeline.tasks.calibrate import calibrate
from pipeline.tasks.evaluate import evaluate
from pipeline.tasks.find_best import Best, find_best
from pipeline.tasks.find_best.members import Holdout, choose_members
from pipeline.tasks.find_best.rule import Interval
from pipeline.tasks.folds import FoldState

STATES = tuple(
    FoldState(fold, 8, 4, 2, 0.8, 2, 1.0, None, {"lung": dice, "mean_of_classes": dice})
    for fold, dice in enumerate((0.90, 0.94, 0.92))
)


@pytest.fixture(scope="module")
def best(cross_validation: Any, tmp_path_factory: pytest.TempPathFactory) -> Best:
    return find_best(cross_validation.folder, tmp_path_factory.mktemp("best") / "bundle")


@pytest.mark.slow
def test_the_bundle_holds_all_folds_as_one_network_with_one_file_of_weights(best: Best, cross_validation: Any) -> None:
    weights = torch.load(best.bundle.weights, weights_only=True)
    for fold in range(2):
        member = torch.load(cross_validation.folder / f"fold{fold}" / "models" / "model.pt", weights_only=True)
        assert all(torch.equal(weights[f"networks.{fold}.{name}"], value) for name, value in member.items())
    assert len(weights) == 2 * len(member)
    for kind in ("evaluate", "inference"):
        text = best.bundle.config(kind).read_text()
        definition = yaml.safe_load(text)["network_def"]
        assert (definition["_target_"], definition["members"]) == ("pipeline.networks.FoldEnsemble", 2)
        assert "# Ensemble of 2 folds." in text
    assert (
        yaml.safe_load(best.bundle.config("train").read_text())["network_def"]["_target_"]
        == "pipeline.networks.UNetWithHead"
    )
    assert not list(best.bundle.root.parent.glob(".part-*"))


@pytest.mark.slow
def test_what_was_chosen_stands_in_both_configs_with_its_gain(best: Best) -> None:
    assert best.flips is not None
    assert best.refinement is not None
    for kind in ("evaluate", "inference"):
        text = best.bundle.config(kind).read_text()
        config = yaml.safe_load(text)
        assert config["refinement"] == [dict(step) for step in best.refinement.steps]
        assert config["test_time_flips"] == ([[], [0]] if best.flips.verdict.kept else [[]])
        said = " ".join(text.replace("# ", "").split())
        for decision in (best.flips, *best.refinement.decisions):
            assert decision.line() in said
    record = json.loads((best.bundle.root / "docs" / "find_best.json").read_text())
    assert record["refinement"] == [dict(step) for step in best.refinement.steps]
    assert "leave-fold-out" in record["rules"]["changes"]
    assert "cannot be scored out of fold" in record["rules"]["networks"]
    assert record["dice"]["after"] == best.refinement.after
    card = (best.bundle.root / "docs" / "README.md").read_text()
    assert "an ensemble is not measured by them" in card


@pytest.mark.slow
def test_the_chosen_masks_score_as_the_folds_evaluated_with_the_same_config(
    best: Best, cross_validation: Any, tmp_path: Path
) -> None:
    """The figure out of fold is what evaluate says of each fold's network under the new bundle's configs."""
    scores = []
    for fold in range(2):
        result = evaluate(
            str(best.bundle.root),
            cross_validation.folder / f"fold{fold}.json",
            "validation",
            tmp_path / str(fold),
            checkpoint=cross_validation.folder / f"fold{fold}" / "models" / "model.pt",
            tracking=False,
        )
        dice = result.summary["lung"]["per_image"]["dice"]
        scores += [dice["mean"]] * dice["n"]
    assert best.refinement is not None
    assert np.mean(scores) == pytest.approx(best.refinement.after["lung"], abs=1e-5)


@pytest.mark.slow
def test_the_ensemble_is_what_the_mean_of_its_members_is(best: Best) -> None:
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(best.bundle.config("inference")))
    network = parser.get_parsed_content("network_def").eval()
    assert isinstance(network, FoldEnsemble)
    weights = torch.load(best.bundle.weights, weights_only=True)
    network.load_state_dict(weights)
    image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        members = [torch.softmax(member(image), 1) for member in network.networks]
        assert torch.allclose(network(image).exp(), sum(members) / 2, atol=1e-6)


@pytest.mark.slow
def test_one_network_in_16_bits_is_written_on_request(cross_validation: Any, best: Best, tmp_path: Path) -> None:
    single = find_best(cross_validation.folder, tmp_path / "single", single=True, half=True)
    scores = [state.mean_dice for state in cross_validation.result.states]
    assert single.choice.members == (int(np.argmax(scores)),)
    dtypes = [{value.dtype for value in torch.load(b.bundle.weights).values()} for b in (single, best)]
    assert dtypes == [{torch.float16}, {torch.float32}]
    assert (
        yaml.safe_load(single.bundle.config("inference").read_text())["network_def"]["_target_"]
        == "pipeline.networks.UNetWithHead"
    )
    with pytest.raises(OutputExists, match="--overwrite"):
        find_best(cross_validation.folder, tmp_path / "single")


@pytest.mark.slow
def test_a_holdout_that_is_not_new_is_refused(cross_validation: Any, phantom_datalist: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidDatalist, match="must be new to both"):
        find_best(cross_validation.folder, tmp_path / "b", holdout=phantom_datalist)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_folds_that_are_not_done_are_told(cross_validation: Any, tmp_path: Path) -> None:
    copy = tmp_path / "cv"
    shutil.copytree(cross_validation.folder, copy)
    (copy / "fold1" / "fold.json").unlink()
    with pytest.raises(InvalidOption, match=r"fold 1 of 2 is not done\. Go on with: planar train --resume"):
        find_best(copy, tmp_path / "b")
    with pytest.raises(MissingFile, match=r"folds\.json"):
        find_best(tmp_path, tmp_path / "b")


def test_the_ensemble_is_taken_without_a_reason_against_it() -> None:
    choice = choose_members(STATES, single=False)
    assert (choice.members, choice.notes) == ((0, 1, 2), ())
    assert choose_members(STATES, single=True).members == (1,)


def test_a_member_whose_training_failed_is_left_out() -> None:
    failed = replace(STATES[0], out_of_fold={"lung": 0.2, "mean_of_classes": 0.2})
    choice = choose_members((failed, *STATES[1:]), single=False)
    assert choice.members == (1, 2)
    assert "Fold 0 is left out" in choice.notes[0]


def test_a_holdout_may_speak_against_the_ensemble() -> None:
    members = {0: 0.93, 1: 0.90, 2: 0.91}
    worse = Holdout("other", 20, 0.88, members, Interval(-0.03, -0.05, -0.01))
    choice = choose_members(STATES, False, worse)
    assert choice.members == (0,)
    assert "on other" in choice.why
    unsure = Holdout("other", 20, 0.91, members, Interval(-0.01, -0.05, 0.03))
    assert choose_members(STATES, False, unsure).members == (0, 1, 2)


@pytest.mark.slow
def test_cases_that_trained_the_networks_are_no_calibration_and_evaluate_says_so(
    best: Best, phantom_datalist: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidOption, match="cross-validated on its training and validation cases"):
        calibrate(str(best.bundle.root), phantom_datalist, "validation")
    result = evaluate(str(best.bundle.root), phantom_datalist, "validation", tmp_path / "ev", tracking=False)
    assert any("cross-validated on these validation cases" in note for note in result.notes)
