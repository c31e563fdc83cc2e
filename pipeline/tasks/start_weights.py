"""The weights that a training is asked to begin with: found, checked, and put into its folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from pipeline.bundle import Bundle, find_bundle
from pipeline.digests import file_sha256
from pipeline.errors import InvalidBundle, InvalidOption, MissingFile

__all__ = ["KEY", "StartWeights", "find_start"]

KEY = "start_from"  # of a train config


class StartWeights:
    """Weights to begin with.

    Attributes:
        path: Where they were found.
        name: What they are called: the bundle's folder, or the file.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    @property
    def tags(self) -> dict[str, str]:
        """For the MLflow run."""
        return {"planar.start_from": self.name, "planar.start_from_sha256": file_sha256(self.path)}

    def put_into(self, bundle: Bundle) -> dict[str, Any]:
        """Copy them into a training's folder, which then depends on no other.

        Returns: Settings of the train config that make it begin with them.
        """
        shutil.copyfile(self.path, bundle.root / "models" / "start.pt")
        return {KEY: "$@bundle_root + '/models/start.pt'"}


def find_start(name_or_path: str, source: Bundle) -> StartWeights:
    """Find weights by a bundle's name or folder, or a checkpoint's file.

    Args:
        name_or_path: As given.
        source: The bundle that is going to be trained.

    Raises:
        MissingFile: if there are none.
        InvalidOption: if the bundle's train config cannot begin with weights.
    """
    if KEY not in yaml.safe_load(source.config("train").read_text(encoding="utf-8")):
        raise InvalidOption(
            f"{source.config('train')} has no key {KEY}, so its training cannot begin with weights. "
            "Plan the bundle again (planar plan), or leave out --start-from."
        )
    path = Path(name_or_path)
    if path.is_file():
        return StartWeights(path, path.name)
    try:
        bundle = find_bundle(name_or_path)
    except InvalidBundle as error:
        raise InvalidOption(f"--start-from: {error}") from None
    if not bundle.weights.is_file():
        raise MissingFile(f"{bundle.weights} is not there; expected the weights of a bundle that was trained.")
    return StartWeights(bundle.weights, bundle.name)
