"""What the README says of exported programs' speed is what the committed measurement says."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def rates(size: int) -> dict[str, float]:
    """Masks a second by contestant, for pictures of one size."""
    measured = json.loads((ROOT / "benchmarks" / "results" / "speed_intel.json").read_text(encoding="utf-8"))
    (found,) = [one for one in measured["measurements"] if (one["part"], one["size"]) == ("inference", size)]
    return {row["name"]: row["rate"]["median"] for row in found["rows"]}


def test_the_readme_says_for_which_network_input_an_exported_program_is_quicker_and_for_which_slower() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    at_512 = rates(512)
    planned = at_512["planar/planned/own"] / at_512["planar_program/planned_own_flips"]
    assert 0.5 < planned < 0.75
    assert "many of up to 512² in half to three quarters of the time, with the network planned at 320²" in text
    for network in ("unet", "planned"):
        assert at_512[f"planar_program/{network}_512_no_flips"] < at_512[f"planar/{network}"]
    assert "with one of 512² it was slower there" in text
