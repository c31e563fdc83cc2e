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
    """A copy of a bundle without weights, data and results, for a training of its own.

    The class names of its configs become `labels`, so that the copy describes what it is trained on. The copy appears
    under its name when it is whole.

    Raises:
        OutputExists: if `out` is there and not empty.
        InvalidBundle: if the labels cannot be put into the configs.
    """
    out = out.resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExists(f"{out} exists. Give another folder with -o, or continue that training with --resume.")
    # A folder that is there already may be the working folder or a mounted disk: it stays, and is filled.
    fill = out.is_dir()
    aside = (out if fill else out.parent) / f".part-{out.name}"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        shutil.copytree(bundle.root, aside, ignore=lambda folder, names: _left_out(bundle.root, folder, names))
        (aside / "models").mkdir()
        if labels != bundle.labels("train"):
            for config in sorted((aside / "configs").iterdir()):
                if config.suffix in SUFFIXES and config.stem not in ("metadata", "tracking"):
                    _relabel_config(config, labels)
            _relabel_metadata(aside / "configs" / "metadata.json", labels)
        if fill:
            # `configs` last: it makes the folder a bundle.
            for part in sorted(aside.iterdir(), key=lambda path: path.name == "configs"):
                part.replace(out / part.name)
        else:
            aside.replace(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Bundle(out, out.name)


def _left_out(root: Path, folder: str, names: list[str]) -> set[str]:
    """What a copy does not take along: at the top the products of other runs, and hidden files everywhere."""
    products = {"models", "eval", "data", "runs", "mlruns"} if Path(folder) == root else set()
    return {name for name in names if name.startswith(".") or name == "__pycache__" or name in products}


def _relabel_config(config: Path, labels: dict[int, str]) -> None:
    """Change the `labels` of a config, with all else, comments too, as it is."""
    text = config.read_text(encoding="utf-8")
    if "labels" not in yaml.safe_load(text):
        return
    if config.suffix == ".json":
        content = json.loads(text)
        content["labels"] = {str(index): name for index, name in labels.items()}
        config.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        return
    flow = yaml.safe_dump(labels, default_flow_style=True, allow_unicode=True, width=float("inf")).strip()
    text = re.sub(r"(?m)^labels:(?:[ \t]*\{[^}]*\}|[^\n]*(?:\n[ \t]+\S[^\n]*)+)", lambda _: f"labels: {flow}", text)
    if yaml.safe_load(text)["labels"] != labels:
        raise InvalidBundle(
            f"{config.name}: its `labels` cannot be changed to the datalist's {', '.join(labels.values())}. "
            "Write them as one line, `labels: {0: background, 1: lung}`, in the bundle."
        )
    config.write_text(text, encoding="utf-8")


def _relabel_metadata(metadata: Path, labels: dict[int, str]) -> None:
    """Change what `metadata.json` says about the classes."""
    if not metadata.is_file():
        return
    content = json.loads(metadata.read_text(encoding="utf-8"))
    try:
        output = content["network_data_format"]["outputs"]["pred"]
    except (KeyError, TypeError) as error:
        raise InvalidBundle(
            f"{metadata.name}: does not describe the output `pred`; expected network_data_format.outputs.pred, "
            "as in MONAI's bundle specification. Add it to the bundle."
        ) from error
    output["channel_def"] = {str(index): name for index, name in labels.items()}
    output["num_channels"] = len(labels)
    named = ", ".join(f"{index} {name}" for index, name in labels.items())
    content["label_classes"] = f"single channel, {named}"
    content["pred_classes"] = f"{len(labels)} channels, {named}"
    metadata.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


class _Values(yaml.SafeLoader):
    """YAML, in which 1e-3 is a number as it is everywhere else, and no text for want of a point."""


_Values.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_overrides(pairs: tuple[str, ...], config: Path) -> dict[str, Any]:
    """`key=value` pairs as MONAI's override, values read as YAML.

    Args:
        pairs: Such as "max_epochs=5" or "train#dataset#cache_rate=0.5".
        config: The config that they override, for telling a mistyped key. The settings of the `tracking.json` beside
            it, such as `run_name`, may be overridden too.
    Raises: InvalidOption: if a pair has no "=", or its first part is no key of the config.
    """
    import difflib

    keys = list(yaml.safe_load(config.read_text(encoding="utf-8")))
    tracking = config.parent / "tracking.json"
    settings = json.loads(tracking.read_text(encoding="utf-8")).get("configs", {}) if tracking.is_file() else {}
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidOption(f"'{pair}' is not an override; expected key=value, such as max_epochs=5.")
        top = re.split(r"#|::", key)[0]
        if top not in keys and top not in settings:
            near = difflib.get_close_matches(top, keys, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" Its keys: {', '.join(keys)}."
            raise InvalidOption(f"'{top}' is no key of {config.name}.{hint}")
        try:
            found[key] = yaml.load(value, Loader=_Values)  # a SafeLoader
        except yaml.YAMLError as error:
            raise InvalidOption(f"The value of '{pair}' is not YAML: {str(error).splitlines()[0]}.") from error
    return found
