"""Finding a bundle by name or path, and reading what its configs say without running it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import InvalidBundle

__all__ = ["SUFFIXES", "Bundle", "find_bundle", "shipped_bundles", "shipped_folder"]

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Bundle:
    """A MONAI bundle on disk.

    Attributes:
        root: The folder that holds `configs/` and `models/`.
        name: The folder's name.
    """

    root: Path
    name: str

    @property
    def typed(self) -> str:
        """What to type for it in a command given here: its name if that finds it, else its path; quoted."""
        try:
            found = find_bundle(self.name).root
        except InvalidBundle:
            found = None
        if found == self.root:
            return shlex.quote(self.name)
        here = Path.cwd()
        return shlex.quote(str(self.root.relative_to(here) if self.root.is_relative_to(here) else self.root))

    def config(self, kind: str) -> Path:
        """Path of `configs/<kind>.yaml` (or .yml, .json).

        Raises: InvalidBundle: if the bundle has no such config.
        """
        for suffix in SUFFIXES:
            path = self.root / "configs" / f"{kind}{suffix}"
            if path.is_file():
                return path
        raise InvalidBundle(
            f"{self.root}: no configs/{kind}.yaml; expected a MONAI bundle that can be used for this. "
            f"It has: {', '.join(sorted(p.name for p in (self.root / 'configs').glob('*'))) or 'nothing'}."
        )

    @property
    def metadata(self) -> Path:
        """Path of `configs/metadata.json`."""
        return self.root / "configs" / "metadata.json"

    @property
    def about(self) -> dict[str, Any]:
        """What its metadata say; empty where there are none that can be read."""
        try:
            content = json.loads(self.metadata.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    @property
    def modality(self) -> str:
        """DICOM modality of the pictures that it is made for, by its metadata; "" where they do not say it."""
        try:
            return str(self.about["network_data_format"]["inputs"]["image"].get("modality") or "")
        except (KeyError, TypeError, AttributeError):
            return ""

    @property
    def tracking(self) -> Path | None:
        """Path of `configs/tracking.json`, if there is one."""
        path = self.root / "configs" / "tracking.json"
        return path if path.is_file() else None

    @property
    def weights(self) -> Path:
        """Path of the best weights, there or not."""
        return self.root / "models" / "model.pt"

    def labels(self, kind: str = "inference") -> dict[int, str]:
        """Class index → name, as the config says."""
        try:
            content = yaml.safe_load(self.config(kind).read_text(encoding="utf-8"))
            return {int(index): str(name) for index, name in content["labels"].items()}
        except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise InvalidBundle(
                f"{self.config(kind)}: no readable `labels`; expected a line such as "
                "`labels: {0: background, 1: lung}`. Add it."
            ) from error


def shipped_folder(name: str) -> Path | None:
    """A folder that came with the installation, "bundles" or "configs", or None if it is not there."""
    package = Path(__file__).parent.parent
    # In an installed package they lie inside it; in a checkout beside it.
    folders = (package / "_shipped" / name, package.parent / name)
    return next((folder for folder in folders if folder.is_dir()), None)


def shipped_bundles() -> dict[str, Path]:
    """The bundles that came with the installation, by name."""
    folder = shipped_folder("bundles")
    entries = sorted(folder.iterdir()) if folder is not None else []
    return {p.name: p for p in entries if (p / "configs").is_dir()}


def find_bundle(name_or_path: str) -> Bundle:
    """The bundle of that path, of that name under `bundles/`, or of that name among the shipped ones.

    Raises: InvalidBundle: if there is none, with the names that there are.
    """
    path = Path(name_or_path).expanduser()
    for root in (path, Path("bundles") / name_or_path, shipped_bundles().get(name_or_path)):
        if root is not None and (root / "configs").is_dir():
            return Bundle(root.resolve(), root.resolve().name)
    if path.exists():
        raise InvalidBundle(f"{path}: not a bundle, it has no folder `configs`. Give the folder that holds `configs`.")
    raise InvalidBundle(
        f"There is no bundle '{name_or_path}'. Give a bundle's folder, or one of: {', '.join(shipped_bundles())}."
    )
