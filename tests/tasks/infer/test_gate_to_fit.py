"""What the user of a bundle without a gate is told to type."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipeline.bundle import find_bundle
from pipeline.errors import InvalidBundle
from pipeline.gate import read_gate
from pipeline.tasks.infer.gating import gate_of


def test_the_command_that_fits_a_gate_finds_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my trainings" / "lungs" / "configs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    bundle = find_bundle("my trainings/lungs")
    _, told = gate_of(bundle, changed=False)
    with pytest.raises(InvalidBundle) as refused:
        read_gate(bundle)
    for line in (told, str(refused.value)):
        given = re.search(r"planar calibrate (.+) --data", line)
        assert given and find_bundle(*shlex.split(given[1])) == bundle
