"""The checklists tell what a record says, and tick nothing that it does not say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from evaluation_phantoms import evaluated, films

from pipeline.report.card_facts import CardFacts, ScoredRun
from pipeline.report.checklist import ChecklistItem, Mark, checklist, checklist_items
from pipeline.report.evaluation import view_evaluation
from pipeline.report.model_card import model_card
from pipeline.tracking.facts import Point, RunFacts

CONFIG = {
    "image_size": [64, 64],
    "network_def": {"_target_": "UNet", "spatial_dims": 2, "out_channels": "$len(@labels)", "_disabled_": False},
    "loss": {"_target_": "DiceCELoss"},
    "optimizer": {"_target_": "torch.optim.AdamW"},
    "train": {
        "deterministic_transforms": [{"_target_": "LoadImaged"}, {"_target_": "pipeline.transforms.DecodeMaskd"}],
        "random_transforms": [{"_target_": "RandFlipd"}, "@validate#normalise"],
        "handlers": [{"_target_": "CheckpointLoader", "_disabled_": "$not @resume"}, {"_target_": "StatsHandler"}],
    },
}


def run_with(folder: Path, files: Mapping[str, Any] | None = None, **more: Any) -> RunFacts:
    """A run with these artifacts, written as JSON."""
    for path, content in (files or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(content))
    facts: dict[str, Any] = {
        "run_id": "5ac1" * 8,
        "name": "one",
        "experiment": "x",
        "status": "FINISHED",
        "started_ms": 1_700_000_000_000,
        "ended_ms": 1_700_000_090_000,
        "tags": {},
        "params": {},
        "metrics": {},
    }
    return RunFacts(**(facts | more), files=tuple(sorted(files or {})), fetch=lambda path: folder / path)


def cases(number: int, part: str, first: int = 0, subject: str = "{:016x}") -> list[dict[str, str]]:
    return [
        {
            "case": f"case-{k:012x}",
            "image_sha256": f"{k:064x}",
            "label_sha256": f"{k:064x}",
            "part": part,
            "subject": subject.format(k),
        }
        for k in range(first, first + number)
    ]


def datalist(**changed: Any) -> dict[str, Any]:
    return {
        "name": "phantoms",
        "modality": {"0": "CR"},
        "labels": {"0": "background", "1": "lung"},
        "split": {
            "method": "seeded",
            "seed": 7,
            "fractions": {"training": 0.8, "test": 0.2},
            "subjects_from": "column",
        },
        "training": cases(4, "training"),
        "validation": [],
        "test": cases(2, "test", 4),
        "refused": {"size_mismatch": 2},
        "warnings": {},
        **changed,
    }


def trained(folder: Path, config: Mapping[str, Any] = CONFIG, **changed: Any) -> RunFacts:
    files = {
        "data/datalist.json": datalist(**changed),
        "config/config_1.json": config,
        "environment.json": {"versions": {"python": "3.11", "torch": "2.13.0"}},
        "code/bundle.json": {"configs/plan.json": "ab" * 32},
        "code/requirements.txt": "",
    }
    return run_with(
        folder,
        files,
        tags={
            "planar.kind": "training",
            "planar.version": "0.1.0",
            "mlflow.source.git.commit": "c0ffee" * 7,
            "planar.git.dirty": "false",
        },
        params={"seed": "7", "max_epochs": "3"},
        metrics={"val_mean_dice": (Point(1, 0.5, 0), Point(2, 0.75, 0))},
    )


def items(facts: CardFacts) -> dict[tuple[str, str], ChecklistItem]:
    """By the beginning of the checklist's name, and number or first word."""
    return {
        (title[:4].lower(), one.question.number if one.question.number != "–" else one.question.asks): one
        for title, group in checklist_items(facts).items()
        for one in group
    }


def claim(facts: CardFacts, number: int) -> ChecklistItem:
    return items(facts)["clai", str(number)]


@pytest.fixture
def scored(tmp_path: Path) -> ScoredRun:
    view = view_evaluation(evaluated(tmp_path / "scores", films(tmp_path / "films", 6)))
    run = run_with(
        tmp_path / "evaluation",
        {"config/config_2.json": {"network_def": {"_target_": "UNet"}, "test_time_flips": [[], [0]]}},
        tags={"planar.kind": "evaluation"},
    )
    return ScoredRun(run, view)


def test_an_empty_record_ticks_nothing(tmp_path: Path) -> None:
    found = items(CardFacts(run_with(tmp_path)))
    assert {item.says for item in found.values()} == {""}
    assert {item.mark for item in found.values()} == {Mark.NOT_RECORDED, Mark.FOR_PEOPLE}


def test_what_only_people_know_is_never_ticked(tmp_path: Path, scored: ScoredRun) -> None:
    found = items(CardFacts(trained(tmp_path / "run"), (scored,)))
    for number in (2, 3, 4, 5, 6, 15, 16, 17, 18, 19, 34, 39, 40, 42):
        assert found["clai", str(number)].mark is Mark.FOR_PEOPLE, number
    for number in (1, 3, 5, 7, 10):
        assert found["good", str(number)].mark is Mark.FOR_PEOPLE, number
    # What a record knows in part leaves the rest to people.
    for number in (7, 8, 12, 14, 25, 37, 38):
        assert found["clai", str(number)].mark is Mark.IN_PART, number
    # That there are no scores on other data here does not say that there are none.
    assert found["clai", "32"].mark is found["good", "8"].mark is Mark.NOT_RECORDED


def test_items_say_what_is_recorded(tmp_path: Path, scored: ScoredRun) -> None:
    facts = CardFacts(trained(tmp_path / "run"), (scored,))
    expected = {
        1: "UNet segments lung",
        7: "phantoms: 4 images for training; 2 images for test",
        8: "Refused by the index: 2 size mismatch",
        9: "LoadImaged, DecodeMaskd",
        11: "background, lung",
        14: "masks of 6 images",
        20: "a hash of each subject and the seed 7; asked for were 80 % / 20 %: training 4 images of 4 subjects",
        21: "no subject is in two parts",
        22: "UNet (spatial_dims=2), 2 classes; its input has [64, 64] pixels",
        23: "torch 2.13.0",
        24: "At random with the seed 7",
        25: "max epochs 3; seed 7; loss DiceCELoss; optimizer AdamW; augmentation RandFlipd",
        26: "0.7500 at epoch 2",
        27: "One network; mean of 2 passes",
        28: "Dice",
        29: "95% intervals of the means, 200 bootstrap resamples of subjects",
        35: "3 subjects; validation while it was trained: mean Dice 0.750",
        37: "worst of phantoms: ",
        41: "commit c0ffeec0ffee",
    }
    for number, words in expected.items():
        assert words in claim(facts, number).says, number
    assert "differences" not in items(facts)["good", "2"].says
    assert "plan.json abababababab" in items(facts)["good", "6"].says
    assert "absent from both" in items(facts)["metr", "Rule for empty references and predictions"].says


@pytest.mark.parametrize(
    ("changed", "number", "words"),
    [
        ({"test": cases(2, "test", 3)}, 21, "NOT disjoint: 1 subjects"),
        ({"split": {"subjects_from": "one subject a file"}}, 21, "a patient may be in two parts"),
        ({"split": {}}, 21, "a patient may be in two parts"),
        ({"test": cases(2, "test", 4, subject="")}, 21, ""),
        ({"split": {"seed": 7}}, 20, ""),
        ({"refused": None}, 8, ""),
        ({"refused": {}}, 8, "The index refused no file"),
        ({"test": [{**cases(1, "test", 9)[0], "case": "Mueller.png"}]}, 12, ""),
        ({"labels": {}}, 11, ""),
    ],
)
def test_what_was_not_recorded_is_not_answered(
    tmp_path: Path, changed: dict[str, Any], number: int, words: str
) -> None:
    item = claim(CardFacts(trained(tmp_path, **changed)), number)
    assert words in item.says
    assert bool(words) or item.mark is Mark.NOT_RECORDED


def test_weights_that_were_loaded_are_not_called_random(tmp_path: Path) -> None:
    handlers = [{"_target_": "CheckpointLoader", "load_path": "others.pt"}]
    config = CONFIG | {"train": {"handlers": handlers}}
    assert claim(CardFacts(trained(tmp_path, config)), 24).mark is Mark.NOT_RECORDED


def test_weights_that_a_training_began_with_are_named_and_are_a_limit(tmp_path: Path, scored: ScoredRun) -> None:
    run = trained(tmp_path / "run")
    run.tags.update({"planar.start_from": "older", "planar.start_from_sha256": "ab" * 32})
    facts = CardFacts(run, (scored,))
    assert (
        claim(facts, 24).says
        == "With the weights of older (SHA-256 abababababab); what does not fit them at random with the seed 7."
    )
    (limit,) = [one for one in facts.limits if one.code == "start_weights"]
    assert limit.grave and "weights of older" in limit.text
    assert f"It began with the weights of `older` (SHA-256 `{'ab' * 32}`)" in model_card(facts)
    assert "began with" not in model_card(CardFacts(trained(tmp_path / "other"), (scored,)))


def test_a_set_that_was_joined_to_another_is_no_other_data(tmp_path: Path, scored: ScoredRun) -> None:
    both = CardFacts(trained(tmp_path / "both", name="Phantoms+films"), (scored,))
    assert not both.tested_elsewhere and claim(both, 32).mark is Mark.NOT_RECORDED
    other = CardFacts(trained(tmp_path / "other", name="films"), (scored,))
    assert other.tested_elsewhere and claim(other, 32).says == "Scored on other data: phantoms."


def test_the_document_counts_what_is_answered_and_keeps_its_table_whole(tmp_path: Path, scored: ScoredRun) -> None:
    facts = CardFacts(trained(tmp_path / "run", labels={"0": "background", "1": "lung | both"}), (scored,))
    text = checklist(facts)
    found = checklist_items(facts)
    for title, group in found.items():
        marks = [item.mark for item in group]
        counted = f"{marks.count(Mark.RECORDED)} are answered from the record, {marks.count(Mark.IN_PART)} in part"
        assert f"## {title}" in text and f"Of {len(group)} items {counted}." in text
    rows = [line for line in text.splitlines() if line.startswith("| `[")]
    assert len(rows) == sum(map(len, found.values())) == 42 + 10 + 10
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)
    assert "lung \\| both" in text
