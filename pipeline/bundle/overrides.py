"""`key=value` on the command line, as MONAI's overrides."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import InvalidOption

__all__ = ["OF_THE_MACHINE", "parse_overrides", "shared_out", "split_key"]

# What belongs to the machine that trains, and not to what is trained: no bundle carries it to another machine.
OF_THE_MACHINE = ("num_workers", "device", "cache_rate", "tracking_uri")


def split_key(key: str) -> list[str]:
    """The parts of a nested key, `a#b` or `a::b`."""
    return re.split(r"#|::", key)


def shared_out(config: Path, key: str, value: Any) -> Any:
    """A setting as a config has it: the batch of a training by several processes is divided among them.

    Args:
        config: The file.
        key: MONAI's nested key.
        value: As it was given, for one process.
    """
    divides = key == "batch_size" and isinstance(value, int) and "dist.get_world_size()" in config.read_text("utf-8")
    return f"$max(1, {value} // dist.get_world_size())" if divides else value


class _Values(yaml.SafeLoader):
    """YAML, in which 1e-3 is a number as it is everywhere else, and no text for want of a point."""


_Values.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_overrides(
    pairs: tuple[str, ...], config: Path, set_elsewhere: Mapping[str, str] | None = None, also: Iterable[str] = ()
) -> dict[str, Any]:
    """`key=value` pairs as MONAI's override, values read as YAML.

    Args:
        pairs: Such as "max_epochs=5" or "train#dataset#cache_rate=0.5".
        config: The config that they override, for telling a mistyped key. The settings of the `tracking.json` beside
            it, such as `run_name`, may be overridden too.
        set_elsewhere: Keys that an option of the command sets, with that option: one of the two would be lost.
        also: Further keys that the config will have, such as a recipe's.
    Raises: InvalidOption: if a pair has no "=", its first part is no key of the config, its value is a word where
        the config has a number, or an option sets that key.
    """
    import difflib

    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    keys = list(dict.fromkeys([*content, *also]))
    tracking = config.parent / "tracking.json"
    settings = json.loads(tracking.read_text(encoding="utf-8")).get("configs", {}) if tracking.is_file() else {}
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidOption(f"'{pair}' is not an override; expected key=value, such as max_epochs=5.")
        top = split_key(key)[0]
        if set_elsewhere and top in set_elsewhere:
            raise InvalidOption(f"'{top}' is set by {set_elsewhere[top]}: use that instead of '{pair}'.")
        if top not in keys and top not in settings:
            near = difflib.get_close_matches(top, keys, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" Its keys: {', '.join(keys)}."
            raise InvalidOption(f"'{top}' is no key of {config.name}.{hint}")
        try:
            # MONAI's references are text, which YAML keeps "@" from beginning with.
            found[key] = value if value.startswith("@") else yaml.load(value, Loader=_Values)  # a SafeLoader
        except yaml.YAMLError as error:
            raise InvalidOption(f"The value of '{pair}' is not YAML: {str(error).splitlines()[0]}.") from error
        if _is_number(content.get(key)) and isinstance(found[key], str) and not found[key].startswith(("@", "$")):
            raise InvalidOption(f"'{pair}': {key} is a number, such as {content[key]}; '{value}' is none.")
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
