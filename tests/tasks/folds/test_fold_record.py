"""What a cross-validation remembers of itself."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import InvalidOption, MissingFile
from pipeline.tasks.folds.record import (
    FoldsRecord,
    FoldState,
    is_folds,
    read_folds,
    read_state,
    write_folds,
    write_state,
)
from pipeline.tasks.lock import held

SETTINGS = {"max_epochs": 3, "image_size": [64, 64]}


@pytest.fixture
def record(tmp_path: Path) -> FoldsRecord:
    return FoldsRecord(tmp_path, "lungs", 3, 0, "films", "a" * 64, dict(SETTINGS))


def test_a_record_is_read_as_it_was_written(record: FoldsRecord) -> None:
    assert not is_folds(record.root)
    write_folds(record, record.root)
    assert is_folds(record.root)
    assert read_folds(record.root) == record


def test_no_record_and_a_damaged_one_are_told(record: FoldsRecord) -> None:
    with pytest.raises(MissingFile, match=r"folds\.json is not there.*--folds 5"):
        read_folds(record.root)
    (record.root / "folds.json").write_text('{"format": "planar-folds/1", "bundle": 1}')
    with pytest.raises(InvalidOption, match="cannot be read as the record"):
        read_folds(record.root)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bundle": "hearts"}, "begun with the bundle lungs, now hearts"),
        ({"folds": 5}, "3, now 5"),
        ({"data_sha256": "b" * 64}, "cases of the digest aaaaaaaaaaaa, now bbbbbbbbbbbb"),
        ({"settings": {**SETTINGS, "max_epochs": 4}}, "the setting max_epochs 3, now 4"),
        ({"settings": {"max_epochs": 3}}, r"the setting image_size \[64, 64\], now unset"),
        ({"settings": {**SETTINGS, "seed": 1}}, "the setting seed unset, now 1"),
    ],
)
def test_another_cross_validation_is_refused_in_one_line(record: FoldsRecord, change: dict, says: str) -> None:
    with pytest.raises(InvalidOption, match=says) as caught:
        record.require_same(replace(record, **change))
    assert "\n" not in str(caught.value)


def test_what_belongs_to_the_machine_may_differ(record: FoldsRecord) -> None:
    record.require_same(replace(record, settings={**SETTINGS, "num_workers": 4, "device": "cuda"}))


def test_the_state_of_a_fold_is_read_as_it_was_written(record: FoldsRecord) -> None:
    assert read_state(record, 1) is None
    state = FoldState(1, 20, 10, 3, 0.9, 2, 12.5, "run", {"lung": 0.91, "mean_of_classes": 0.91})
    write_state(record, state)
    assert read_state(record, 1) == state
    assert state.mean_dice == 0.91


def test_a_lock_keeps_others_out_until_it_is_let_go(tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="locks of files are of POSIX")
    with (
        held(tmp_path / ".lock", "fold 1"),
        pytest.raises(InvalidOption, match="fold 1 is being trained by another process"),
        held(tmp_path / ".lock", "fold 1"),
    ):
        pass
    with held(tmp_path / ".lock", "fold 1"):
        pass
