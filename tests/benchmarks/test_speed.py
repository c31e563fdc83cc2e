"""The benchmark of speed: turns of processes, what is made of them, and the floor."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.commands import PeerError
from benchmarks.speed.__main__ import SCALES
from benchmarks.speed.cold import measure_cold
from benchmarks.speed.contest import BASE, _turns
from benchmarks.speed.contestants import PACKAGES, Entrant, Peers, entrants_of_training, missing_packages
from benchmarks.speed.floor import floor_seconds, network_costs
from benchmarks.speed.material import ROOT, UNET, Material, environment
from benchmarks.speed.process import Contestant
from benchmarks.speed.summary import in_order, markdown, rows_of

SETTINGS = {"PYTHONPATH": str(ROOT)}
STEPS = """
import time
from benchmarks.speed.workers.turns import Channel, StepTurns
turns = StepTurns(Channel(), warm=2, settle={settle}, facts=lambda: {{"answer": 42}})
print("a library says something")
while True:
    time.sleep(0.01)
    turns.step(3)
"""
FILES = """
import time
from benchmarks.speed.workers.turns import Channel, FileTurns
turns = FileTurns(Channel())
for _ in turns.passes():
    time.sleep(0.2)
    for _ in range({count}):
        time.sleep(0.01)
        turns.file()
"""


def contestant(code: str, log: Path) -> Contestant:
    return Contestant("it", [sys.executable, "-c", code], log, SETTINGS)


@pytest.mark.parametrize("settle", [0, 3])
def test_a_training_is_counted_within_its_turns_alone(tmp_path: Path, settle: int) -> None:
    with contestant(STEPS.format(settle=settle), tmp_path / "log") as one:
        assert one.ready(30)["answer"] == 42
        for _ in range(2):
            time.sleep(0.3)  # a pause is nobody's time
            began = time.perf_counter()
            turn = one.turn(0.2, 30)
            assert turn["images"] == 3 * turn["steps"]
            assert 0.2 <= turn["seconds"] <= time.perf_counter() - began
            # At most 100 steps a second; a busy machine makes fewer.
            assert 1 <= turn["steps"] <= 20
    assert "a library says something" in (tmp_path / "log").read_text(encoding="utf-8")


def test_a_pass_is_counted_as_a_whole(tmp_path: Path) -> None:
    with contestant(FILES.format(count=24), tmp_path / "log") as one:
        one.ready(30)
        turns = [one.turn(1, 30) for _ in range(2)]
    for turn in turns:
        assert turn["images"] == 24
        assert turn["seconds"] == turn["pass_seconds"] >= 0.44


def test_loading_that_others_do_once_is_left_out(tmp_path: Path) -> None:
    with contestant(f"{FILES.format(count=1)}    turns.took(0.05)\n", tmp_path / "log") as one:
        one.ready(30)
        turn = one.turn(1, 30)
    assert (turn["images"], turn["seconds"]) == (1, 0.05)
    assert turn["pass_seconds"] >= 0.2


def test_a_contestant_that_fails_says_its_last_words(tmp_path: Path) -> None:
    with (
        contestant("raise SystemExit('no such network')", tmp_path / "log") as one,
        pytest.raises(PeerError, match="no such network"),
    ):
        one.ready(30)
    with contestant("import time; time.sleep(60)", tmp_path / "log") as one, pytest.raises(PeerError, match="longer"):
        one.ready(0.2)


def test_children_of_a_contestant_end_with_it(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    child = f"import time, pathlib\nwhile True:\n    pathlib.Path({str(alive)!r}).touch(); time.sleep(0.05)"
    code = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {child!r}])\n" + STEPS.format(settle=0)
    with contestant(code, tmp_path / "log") as one:
        one.ready(30)
        while not alive.exists():
            time.sleep(0.05)
    time.sleep(0.2)
    alive.unlink()
    time.sleep(0.3)
    assert not alive.exists()


def test_a_command_that_fails_is_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = {
        "good": ("`good`", [sys.executable, "-c", "pass"]),
        "bad": ("`bad`", [sys.executable, "-c", "raise SystemExit('no such bundle')"]),
    }
    monkeypatch.setattr("benchmarks.speed.cold.cold_commands", lambda material, skipped: commands)
    skipped: dict[str, str] = {}
    found = measure_cold(Material(tmp_path, 2, 1), 2, skipped, lambda line: None)
    assert [row["name"] for row in found["rows"]] == ["good"]
    assert found["rows"][0]["ratio"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert "no such bundle" in skipped["bad (cold)"]


def test_every_other_round_goes_the_other_way() -> None:
    assert in_order(3, 3) == [[0, 1, 2], [2, 1, 0], [0, 1, 2]]


def test_who_takes_many_turns_for_one_step_has_a_single_one(tmp_path: Path) -> None:
    step = "import time\nfrom benchmarks.speed.workers.turns import Channel, StepTurns\nturns = StepTurns(Channel())\n"
    code = step + "while True:\n    time.sleep({seconds})\n    turns.step(1)\n"
    names = {"stock/unet": 0.5, "planar/unet": 0.01, "nnunet": 0.5}
    entrants = [
        Entrant(name, name, "", "own", [sys.executable, "-c", code.format(seconds=seconds)], 30)
        for name, seconds in names.items()
    ]
    scale = replace(SCALES["quick"], turn_s=0.1, rounds=3)
    skipped: dict[str, str] = {}
    turns, _ = _turns("training 64", entrants, scale, tmp_path, skipped, lambda line: None)
    assert {name: len(each) for name, each in turns.items()} == {"stock/unet": 3, "planar/unet": 3, "nnunet": 1}
    assert skipped == {}


def test_ratios_are_of_turns_of_the_same_round() -> None:
    """A machine at half its speed in the second round changes no ratio."""
    turns = {
        "stock/unet": [{"images": 10, "seconds": 1.0, "processor_seconds": 2.0}, {"images": 10, "seconds": 2.0}],
        "planar/unet": [{"images": 30, "seconds": 1.0}, {"images": 30, "seconds": 2.0}],
    }
    stock, planar = rows_of(turns, "stock/unet", {"planar/unet": 0.01})
    assert planar["ratio"] == {"median": 3.0, "min": 3.0, "max": 3.0}
    assert planar["rate"] == {"median": 22.5, "min": 15.0, "max": 30.0}
    assert planar["of_floor"] == pytest.approx(0.225)
    assert stock["processor_seconds_an_image"] == pytest.approx(0.2)
    assert "ratio" not in rows_of(turns, "absent", {})[0]


def test_the_floor_is_computing_or_moving_whichever_takes_longer() -> None:
    costs = {"forward_flop": 100.0, "training_flop": 300.0, "elements": 10.0}
    assert floor_seconds(costs, {"fp32": 100.0, "bytes": 1000.0}, "fp32", training=False) == pytest.approx(1.0)
    assert floor_seconds(costs, {"fp32": 1e9, "bytes": 10.0}, "fp32", training=False) == pytest.approx(4.0)
    assert floor_seconds(costs, {"bf16": 1e9, "bytes": 10.0}, "bf16", training=True) == pytest.approx(6.0)


def test_operations_of_a_convolution_are_counted_as_by_hand() -> None:
    definition = {
        "_target_": "monai.networks.blocks.Convolution", "spatial_dims": 2, "in_channels": 1, "out_channels": 4,
        "conv_only": True, "bias": False,
    }  # fmt: skip
    costs = network_costs(definition, 16)
    assert costs["forward_flop"] == 2 * 16 * 16 * 4 * 9
    assert costs["elements"] == 16 * 16 * (1 + 4)
    assert costs["parameters"] == 36
    assert network_costs(UNET, 64)["training_flop"] > 2.5 * network_costs(UNET, 64)["forward_flop"]


def test_a_peer_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert set(PACKAGES) == {"nnunet", "lightning", "onnxruntime", "openvino", "lungmask"}
    assert "does not run" in missing_packages("lungmask", tmp_path / "python")


def test_films_of_every_size_are_the_same_films(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    material = Material(tmp_path, 8, 1)
    material._originals = [(np.tile(np.arange(64, dtype=np.uint8) * 3, (64, 1)), np.eye(64, dtype=np.uint8) * 255)]
    small, large = (np.asarray(Image.open(material.films(size, 2)[0][0]), float) for size in (32, 96))
    assert small.shape == (32, 32) and large.shape == (96, 96)
    assert np.corrcoef(small.ravel(), np.asarray(Image.fromarray(large).resize((32, 32))).ravel())[0, 1] > 0.98
    first, second = (Image.open(image) for image, _ in material.films(32, 2))
    assert not np.array_equal(np.asarray(first), np.asarray(second))
    listed = json.loads(material.datalist(32).read_text(encoding="utf-8"))
    assert [len(listed[part]) for part in ("training", "validation", "test")] == [6, 1, 1]
    assert all((tmp_path / one["image"]).is_file() for one in listed["training"])
    assert len([*material.images(32, 5).iterdir()]) == 5


def test_the_page_says_what_was_measured_and_what_was_not() -> None:
    turns = {"stock/unet": [{"images": 10, "seconds": 1.0}], "planar/unet": [{"images": 20, "seconds": 1.0}]}
    page = markdown(
        {
            "machine": {"processor": "A processor", "cores": 2, "memory_gb": 8.0, "gpu": None},
            "floor": {"machine": {"fp32": 2e11, "bf16": 4e11, "bytes": 2e10}},
            "load_before": 0.1,
            "versions": {"Planar": {"torch": "2.13.0", "onnx": None}},
            "scale": {"turn_s": 5.0, "rounds": 3},
            "measurements": [
                {
                    "title": "Training",
                    "unit": "images/s",
                    "base_title": "the MONAI bundle",
                    "titles": {"stock/unet": "MONAI bundle", "planar/unet": "Planar"},
                    "rows": rows_of(turns, "stock/unet", {"planar/unet": 0.02}),
                }
            ],
            "cold": {"rows": [{"title": "planar --help", "seconds": {"median": 0.2, "min": 0.1, "max": 0.3}}]},
            "skipped": {"lungmask": "lungmask not installed"},
            "command": "python -m benchmarks.speed",
        }
    )
    assert "| Planar | 20 (20–20) | 2 (2–2) | 40 % of 50 | – |" in page
    assert "torch 2.13.0" in page and "onnx" not in page
    assert "- lungmask: lungmask not installed." in page
    assert "| planar --help | 0.2 (0.1–0.3) | – |" in page


@pytest.mark.slow
def test_the_stock_bundles_training_takes_part(tmp_path: Path) -> None:
    scale = SCALES["quick"]
    material = Material(tmp_path, scale.films, scale.cores)
    entrant = next(entrants_of_training(material, scale, 64, Peers(), {}))
    assert entrant.name == BASE
    with Contestant(BASE, entrant.command, tmp_path / "log", environment()) as one:
        one.ready(120)
        turn = one.turn(0.1, 60)
        assert turn["images"] == scale.batch * turn["steps"] > 0
