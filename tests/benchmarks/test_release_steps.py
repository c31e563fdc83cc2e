"""What a release adds up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.release.steps import seconds_before


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "lungs" / "configs").mkdir(parents=True)
    (tmp_path / "lungs" / "configs" / "metadata.json").write_text("{}", encoding="utf-8")
    (tmp_path / "lungs" / "docs").mkdir()
    return tmp_path / "lungs"


def test_the_training_of_the_bundle_that_one_begins_with_counts(bundle: Path) -> None:
    (bundle / "docs" / "release.json").write_text(json.dumps({"seconds": 1234.5}), encoding="utf-8")
    assert seconds_before(str(bundle)) == 1234.5


def test_nothing_counts_where_no_record_says(bundle: Path) -> None:
    weights = bundle / "model.pt"
    weights.write_bytes(b"weights")
    assert [seconds_before(start) for start in (None, str(weights), str(bundle))] == [0.0, 0.0, 0.0]
