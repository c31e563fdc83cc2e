"""The weights that a bundle's training begins with, in its train config."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.bundle import Bundle, begin_with_start_file
from pipeline.bundle.beginning import forget_start_file

OWN = "$@bundle_root + '/models/start.pt'"


@pytest.mark.parametrize("config", ["network_def: 1\n", "imports:\n  - $import os\ninitialize:\n  - $print()\n"])
@pytest.mark.parametrize("kind", ["train", "multi_gpu_train"])
def test_a_config_that_was_not_planned_here_begins_with_weights_too(tmp_path: Path, config: str, kind: str) -> None:
    path = tmp_path / "configs" / f"{kind}.yaml"
    path.parent.mkdir()
    path.write_text(config)
    before = yaml.safe_load(config)

    begin_with_start_file(Bundle(tmp_path, "mine"))

    content = yaml.safe_load(path.read_text())
    assert content["start_from"] == OWN
    assert content["initialize"][-1] == "$begin_with(@network_def, @start_from) if @start_from else None"
    assert content["imports"][-1] == "$from pipeline.starting import begin_with"
    assert content["initialize"][:-1] == before.get("initialize", [])


def test_a_copy_forgets_its_own_start_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    own, other = tmp_path / "configs" / "multi_gpu_train.yaml", tmp_path / "configs" / "train.yaml"
    own.write_text(yaml.safe_dump({"start_from": OWN}))
    other.write_text("start_from: /models/others.pt  # ours\n")

    forget_start_file(Bundle(tmp_path, "mine"))

    assert yaml.safe_load(own.read_text()) == {"start_from": None}
    assert other.read_text() == "start_from: /models/others.pt  # ours\n"
