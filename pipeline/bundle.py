"""Finding a bundle by name or path, and reading what its configs say without running it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import InvalidBundle, InvalidOption, OutputExists

__all__ = ["Bundle", "copy_bundle", "find_bundle", "parse_overrides", "shipped_bundles"]

CONFIGS = ("train", "evaluate", "inference")


@dataclass(frozen=True)
class Bundle:
    """A MONAI bundle on disk.

    Attributes:
        root: The folder that holds `configs/` and `models/`.
        name: The folder's name.
    """

    root: Path
    name: str

    def config(self, kind: str) -> Path:
        """Path of `configs/<kind>.yaml` (or .yml, .json).

        Raises: InvalidBundle: if the bundle has no such config.
        """
        for suffix in (".yaml", ".yml", ".json"):
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


def shipped_bundles() -> dict[str, Path]:
    """The bundles that came with the installation, by name."""
    package = Path(__file__).parent
    # In an installed package they lie inside it; in a checkout beside it.
    for folder in (package / "_shipped" / "bundles", package.parent / "bundles"):
        if folder.is_dir():
            return {p.name: p for p in sorted(folder.iterdir()) if (p / "configs").is_dir()}
    return {}


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


def copy_bundle(bundle: Bundle, out: Path, labels: dict[int, str]) -> Bundle:
    """A copy of a bundle without weights and results, for a training of its own.

    The class names of its configs become `labels`, so that the copy describes what it is trained on. The copy appears
    under its name when it is whole.

    Raises: OutputExists: if `out` is there and not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExists(f"{out} exists. Give another folder with -o, or continue that training with --resume.")
    aside = out.with_name(f".part-{out.name}")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(bundle.root, aside, ignore=shutil.ignore_patterns("models", "eval", "__pycache__", ".*"))
    (aside / "models").mkdir()
    if labels != bundle.labels("train"):
        for config in (aside / "configs").glob("*.yaml"):
            text = config.read_text(encoding="utf-8")
            line = yaml.safe_dump(labels, default_flow_style=True, sort_keys=True, allow_unicode=True).strip()
            config.write_text(re.sub(r"(?m)^labels: \{.*\}", lambda _: f"labels: {line}", text), encoding="utf-8")
        metadata = aside / "configs" / "metadata.json"
        content = json.loads(metadata.read_text(encoding="utf-8"))
        output = content["network_data_format"]["outputs"]["pred"]
        output["channel_def"] = {str(index): name for index, name in labels.items()}
        output["num_channels"] = len(labels)
        metadata.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if out.exists():
        out.rmdir()
    aside.replace(out)
    return Bundle(out.resolve(), out.resolve().name)


def parse_overrides(pairs: tuple[str, ...], config: Path) -> dict[str, Any]:
    """`key=value` pairs as MONAI's override, values read as YAML.

    Args:
        pairs: Such as "max_epochs=5" or "train#dataset#cache_rate=0.5".
        config: The config that they override, for telling a mistyped key.
    Raises: InvalidOption: if a pair has no "=", or its first part is no key of the config.
    """
    import difflib

    keys = list(yaml.safe_load(config.read_text(encoding="utf-8")))
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidOption(f"'{pair}' is not an override; expected key=value, such as max_epochs=5.")
        top = re.split(r"#|::", key)[0]
        if top not in keys:
            near = difflib.get_close_matches(top, keys, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" Its keys: {', '.join(keys)}."
            raise InvalidOption(f"'{top}' is no key of {config.name}.{hint}")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InvalidOption(f"The value of '{pair}' is not YAML: {str(error).splitlines()[0]}.") from error
    return found
