from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.nnunet.contest import ContestOptions, run_contest
from benchmarks.nnunet.environment import find_python
from pipeline.errors import MissingExtra

MINUTES = 0.6


@pytest.fixture(scope="module")
def nnunet_python() -> Path:
    try:
        return find_python(None)
    except MissingExtra:
        pytest.skip("nnU-Net is not installed: set NNUNET_PYTHON to the Python of an environment that has nnunetv2")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_both_peers_are_trained_for_the_budget_and_scored(
    phantom_datalist: Path, tmp_path: Path, nnunet_python: Path
) -> None:
    options = ContestOptions(
        data=phantom_datalist,
        minutes=MINUTES,
        out=tmp_path,
        python=nnunet_python,
        bundle="cxr_lung_segmentation",
        overrides=("image_size=[96,96]", "num_workers=0"),
    )
    run_contest(options)
    table = json.loads((tmp_path / "table.json").read_text())
    names = [row["name"] for row in table["rows"]]
    assert {"planar", "planar_no_tta", "nnunet", "nnunet_no_tta"} <= set(names)
    for row in table["rows"]:
        assert row["training"]["steps"] >= 1
        assert row["training"]["seconds"] <= 1.3 * 60 * MINUTES  # one step more, where another program slows it down
        assert row["summary"]["lung"]["per_subject"]["dice"]["n"] == 3
    # nnU-Net learns something of 96-pixel films in half a minute: its masks are not turned or mixed up.
    scores = [row["summary"]["lung"]["per_subject"]["dice"]["mean"] for row in table["rows"] if "nnunet" in row["name"]]
    assert max(scores) > 0.5
