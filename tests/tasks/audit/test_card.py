"""A bundle's card and scores come from the record, and a check tells when they do not say the same any more."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from audited_runs import Story

from pipeline.bundle import copy_bundle, find_bundle
from pipeline.cli import main
from pipeline.errors import InvalidBundle, InvalidOption, OutputExists
from pipeline.fingerprint import FORMAT
from pipeline.gate import read_gate
from pipeline.report.model_card import BY_HAND
from pipeline.tasks.audit import Outcome
from pipeline.tasks.audit.verify import verify
from pipeline.tasks.card import check_card, write_card
from pipeline.tracking.reading import RunStore
from pipeline.tracking.record import Record


@pytest.fixture
def bundle(story: Story, tmp_path: Path) -> Path:
    """A copy of the trained bundle, to be written into."""
    shutil.copytree(story.bundle, tmp_path / "bundle")
    return tmp_path / "bundle"


def metadata(bundle: Path) -> dict:
    return json.loads((bundle / "configs" / "metadata.json").read_text())


def change(bundle: Path, **figures: float) -> None:
    content = metadata(bundle)
    content["eval_metrics"] |= figures
    (bundle / "configs" / "metadata.json").write_text(json.dumps(content))


def outcomes(bundle: Path, story: Story) -> dict[str, Outcome]:
    return {check.about: check.outcome for check in check_card(str(bundle), store=story.store).checks}


@pytest.mark.parametrize("which", ["training", "evaluation"])
def test_the_card_says_what_the_record_says(story: Story, bundle: Path, tmp_path: Path, which: str) -> None:
    result = write_card(getattr(story, which), str(bundle), store=story.store)
    store = RunStore(story.store)
    training, evaluation = (store.read(run, tmp_path / run) for run in (story.training, story.evaluation))
    assert result.figures["mean_dice"] == pytest.approx(evaluation.latest("dice_lung"), abs=5e-5)
    assert metadata(bundle)["eval_metrics"] == result.figures
    assert metadata(bundle)["planar"]["record"] == {
        "training_run": story.training,
        "model_sha256": training.tags["planar.model_sha256"],
        "evaluations": {"": story.evaluation},
    }
    card = result.card.read_text()
    figures = json.loads((story.folder / "scores" / "metrics.json").read_text())["summary"]["lung"]["per_subject"]
    assert f"| lung | {figures['dice']['mean']:.3f} [{figures['dice']['ci_low']:.3f}, " in card
    for said in (story.training, story.evaluation, training.tags["planar.model_sha256"], "| training | 11 | "):
        assert said in card
    assert "no subject is in two parts" in card
    assert "Every file counts as a subject" not in card
    assert f"the weights are those of epoch {training.kept('val_mean_dice').step}" in card


def test_the_card_names_nobody_and_no_folder(story: Story, bundle: Path) -> None:
    card = write_card(story.training, str(bundle), store=story.store).card.read_text()
    import getpass
    import socket

    assert str(story.folder) not in card
    assert "phantom/images" not in card
    assert socket.gethostname() not in card
    assert f"user {getpass.getuser()}" not in card


def test_scores_that_are_not_the_runs_are_named(story: Story, bundle: Path) -> None:
    write_card(story.evaluation, str(bundle), store=story.store)
    assert outcomes(bundle, story) == {"weights": Outcome.PASS, "metadata": Outcome.PASS}
    change(bundle, mean_dice=metadata(bundle)["eval_metrics"]["mean_dice"] + 0.001)
    verdict = check_card(str(bundle), store=story.store)
    assert verdict.status == 1
    assert "mean_dice is 0." in verdict.checks[-1].files[0]


def test_a_score_that_no_run_has_fails(story: Story, bundle: Path) -> None:
    write_card(story.evaluation, str(bundle), store=story.store)
    change(bundle, mean_dice_other_hospitals=0.99)
    assert outcomes(bundle, story)["metadata"] is Outcome.FAIL


def test_other_weights_than_those_of_the_scores_fail(story: Story, bundle: Path) -> None:
    write_card(story.evaluation, str(bundle), store=story.store)
    weights = bundle / "models" / "model.pt"
    torch.save({name: value + 1 for name, value in torch.load(weights, weights_only=True).items()}, weights)
    assert outcomes(bundle, story)["weights"] is Outcome.FAIL
    with pytest.raises(InvalidBundle, match="is not the checkpoint of the run"):
        write_card(story.evaluation, str(bundle), store=story.store)


def test_metadata_that_name_no_run_are_no_pass(story: Story, bundle: Path) -> None:
    verdict = check_card(str(bundle), store=story.store)
    assert (verdict.outcome, verdict.status) == (Outcome.SKIPPED, 3)


def test_verifying_a_run_looks_at_its_bundles_scores_too(story: Story, bundle: Path) -> None:
    write_card(story.evaluation, str(bundle), store=story.store)
    for run in (story.training, story.evaluation):
        verdict = verify(run, store=story.store, bundle=str(bundle), evaluate=False)
        assert {check.about: check.outcome for check in verdict.checks}["metadata"] is Outcome.PASS
    change(bundle, mean_dice=0.99)
    verdict = verify(story.evaluation, store=story.store, bundle=str(bundle), evaluate=False)
    assert [check.about for check in verdict.checks if check.outcome is Outcome.FAIL] == ["metadata"]


def test_what_a_person_wrote_is_kept(story: Story, bundle: Path) -> None:
    card = write_card(story.training, str(bundle), store=story.store).card
    card.write_text(card.read_text() + "\n## Terms\n\nThe films are public.\n")
    again = write_card(story.evaluation, str(bundle), store=story.store).card.read_text()
    assert again.rstrip().endswith(f"{BY_HAND}\n\n## Terms\n\nThe films are public.")
    card.write_text("# All of it is mine\n")
    with pytest.raises(OutputExists, match=r"README\.md\.old"):
        write_card(story.training, str(bundle), store=story.store)
    write_card(story.training, str(bundle), store=story.store, overwrite=True)
    assert card.with_name("README.md.old").read_text() == "# All of it is mine\n"


def test_a_copy_that_is_to_be_trained_has_no_scores_of_its_original(story: Story, bundle: Path, tmp_path: Path) -> None:
    write_card(story.training, str(bundle), store=story.store)
    original = find_bundle(str(bundle))
    copy = copy_bundle(original, tmp_path / "copy", original.labels("train"), trained_on="others (3 training cases)")
    assert "eval_metrics" not in metadata(copy.root)
    assert "record" not in metadata(copy.root)["planar"]
    # It has the card of one that was not evaluated, which is written anew without being asked.
    assert "Not evaluated yet." in (copy.root / "docs" / "README.md").read_text()


def test_a_training_that_was_not_evaluated_has_a_card_that_says_so(story: Story, bundle: Path, tmp_path: Path) -> None:
    from pipeline.digests import file_sha256

    store = f"sqlite:///{tmp_path / 'runs.db'}"
    digest = file_sha256(bundle / "models" / "model.pt")
    record = Record.begin(store, "x", tags={"planar.kind": "training", "planar.model_sha256": digest})
    record.end("FINISHED")
    result = write_card(record.run_id, str(bundle), store=store)
    assert result.figures == {} and result.notes
    assert "Not evaluated yet" in result.card.read_text()
    with pytest.raises(InvalidOption, match="kind 'inference'"):
        record = Record.begin(store, "x", tags={"planar.kind": "inference"})
        record.end("FINISHED")
        write_card(record.run_id, str(bundle), store=store)


def test_the_command_writes_and_checks(story: Story, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def planar(*args: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["card", *args, "--into", str(bundle), "--store", story.store])
        return int(ended.value.code or 0)

    assert planar() == 2
    assert planar(story.evaluation) == 0
    assert "mean_dice: 0." in capsys.readouterr().out
    assert planar("--check") == 0
    change(bundle, mean_dice=0.5)
    assert planar("--check") == 1
    assert "mean_dice is 0.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "Nearly equal pictures: 1 pair with one in test and the other in another part."),
        ("other", "Whether a case here nearly repeats one of the training is not known"),
    ],
)
def test_the_bundles_own_fingerprint_tells_of_pictures_that_repeat_others(
    story: Story, bundle: Path, data: str, said: str
) -> None:
    name = data or json.loads(story.datalist.read_text())["name"]
    pairs = [{"parts": [part, "training"], "similarity": 0.97} for part in ("test", "validation")]
    document = {"format": FORMAT, "name": name, "near_duplicates": pairs, "near_duplicates_across": 2}
    (bundle / "configs" / "fingerprint.json").write_text(json.dumps(document))
    assert said in write_card(story.evaluation, str(bundle), store=story.store).card.read_text()


def test_the_card_tells_of_the_gate(story: Story, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "## Gate" not in write_card(story.evaluation, str(bundle), store=story.store).card.read_text()
    gate = read_gate(find_bundle("ct_chest_segmentation"))
    monkeypatch.setattr("pipeline.gate.read_gate", lambda bundle: gate)
    (bundle / "models" / "gate.json").write_text("{}")
    card = " ".join(write_card(story.evaluation, str(bundle), store=story.store).card.read_text().split())
    held_out, aim = gate.record["in_sample"], gate.record["aim"]
    assert f"the predicted Dice is at least {gate.dice_limit:.3f}" in card
    assert f"aimed at 5 % of accepted masks at most with a Dice below {aim['minimum_dice']:.3f}, an aim that" in card
    assert "Whether it did was not recorded" in card
    assert "It has learnt from the validation part of ct_chest: 2 pictures as they are, and 32 made worse." in card
    assert (
        f"wrong by {held_out['mean_absolute_error']:.3f} in the mean; of the pictures as they are it accepted 50 %"
        in card
    )
    assert "hardly more than a hint" in card
    # Its heart and its trachea were predicted by models that had learnt from them.
    assert "On the masks it was fitted to, its predicted Dice was" in card
    assert "not learnt from" not in card


def test_the_card_says_of_which_masks_the_gates_figures_are(
    story: Story, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = read_gate(find_bundle("tomo_pore_segmentation"))
    (bundle / "models" / "gate.json").write_text("{}")

    def card(record: dict[str, Any]) -> str:
        monkeypatch.setattr("pipeline.gate.read_gate", lambda bundle: replace(gate, record=record))
        return " ".join(write_card(story.evaluation, str(bundle), store=story.store).card.read_text().split())

    # Figures of this test: those of the bundle change when it is trained again.
    record = {**gate.record}
    figures = {**record.pop("in_sample"), "accepted_below_minimum": 0.57, "mean_absolute_error": 0.15}
    fitted = card({**record, "in_sample": figures})
    assert "Of the masks that it was fitted to and would accept, most of them of pictures made worse, 57 %" in fitted
    assert "On the masks it was fitted to, its predicted Dice was wrong by 0.150" in fitted
    other = card({**record, "held_out": figures})
    assert "Of the masks that it had not learnt from and would accept" in other
    assert "Of masks that it had not learnt from, its predicted Dice was wrong by 0.150" in other


def test_a_gate_of_other_weights_is_left_out_with_a_word(story: Story, bundle: Path) -> None:
    (bundle / "models" / "gate.json").write_text("{}")
    result = write_card(story.evaluation, str(bundle), store=story.store)
    assert any(note.startswith("The card does not speak of the gate.") for note in result.notes)
    assert "## Gate" not in result.card.read_text()
