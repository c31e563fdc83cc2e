"""The weights that a bundle's training begins with, as its train config names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.bundle.editing import rewrite_config
from pipeline.bundle.find import SUFFIXES, Bundle

__all__ = ["START_FILE", "begin_with_start_file", "forget_start_file"]

START_FILE = "models/start.pt"
KEY = "start_from"
OWN = f"$@bundle_root + '/{START_FILE}'"


def begin_with_start_file(bundle: Bundle) -> None:
    """Let a bundle's trainings begin with the weights that lie in its `models/start.pt`.

    A config that was not planned here is given what a planned one has.

    Raises: InvalidBundle: if a config cannot be read.
    """

    def change(content: Any) -> bool:
        if KEY not in content:
            content.setdefault("imports", []).append("$from pipeline.starting import begin_with")
            content.setdefault("initialize", []).append(f"$begin_with(@network_def, @{KEY}) if @{KEY} else None")
        content[KEY] = OWN
        return True

    for config in _trainings(bundle):
        rewrite_config(config, change)


def forget_start_file(bundle: Bundle) -> None:
    """Let the trainings of a copy, which has no weights, begin with random ones."""

    def change(content: Any) -> bool:
        if not isinstance(content, dict) or content.get(KEY) != OWN:
            return False
        content[KEY] = None
        return True

    for config in _trainings(bundle):
        rewrite_config(config, change)


def _trainings(bundle: Bundle) -> list[Path]:
    """The configs that train: by one process, and by several."""
    found = [
        bundle.root / "configs" / f"{kind}{suffix}" for kind in ("train", "multi_gpu_train") for suffix in SUFFIXES
    ]
    return [path for path in found if path.is_file()]
