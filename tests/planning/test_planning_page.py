"""docs/planning.md has every key of a task spec."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from pipeline.planning import read_task_spec
from pipeline.planning.spec import KEYS

PAGE = Path(__file__).parents[2] / "docs" / "planning.md"


def test_each_key_has_its_line() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == KEYS


def test_its_example_is_a_task_spec(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "task.yaml").write_text(example)
    assert read_task_spec(tmp_path / "task.yaml").labels == tuple(yaml.safe_load(example)["labels"])
