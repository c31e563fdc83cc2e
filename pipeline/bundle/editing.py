"""Changing keys of a config and leaving all else in it, comments too, as it is."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString
from yaml import safe_load

from pipeline.atomic import write_text_aside
from pipeline.bundle.overrides import split_key
from pipeline.errors import InvalidBundle

__all__ = ["edit_config", "flow", "place", "rewrite_config"]


def edit_config(config: Path, changes: Mapping[str, Any]) -> None:
    """Set nested keys of a YAML or JSON config; a key whose first part the config does not have is left out.

    Args:
        config: The file; written only if something changes.
        changes: By MONAI's nested key, such as "network_def#norm" or "train#random_transforms#0#prob".
    Raises: InvalidBundle: if the file cannot be read, or a key leads nowhere in it.
    """

    def change(content: Any) -> bool:
        known = {k: v for k, v in changes.items() if isinstance(content, dict) and split_key(k)[0] in content}
        for key, value in known.items():
            place(content, split_key(key), flow(value), f"{config.name}: {key}")
        return bool(known)

    rewrite_config(config, change)


def rewrite_config(config: Path, change: Callable[[Any], bool]) -> None:
    """Change the content of a YAML or JSON config; in YAML all comments stay.

    Args:
        config: The file.
        change: Changes the content that it is given, and says whether it did; for YAML these are the mappings and lists
            of ruamel.yaml, which carry comments and styles.
    Raises: InvalidBundle: if the file cannot be read.
    """
    text = config.read_text(encoding="utf-8")
    yaml = _round_trip()
    try:
        content = json.loads(text) if config.suffix == ".json" else yaml.load(text)
    except (ValueError, YAMLError) as error:
        raise InvalidBundle(f"{config.name}: cannot be read: {str(error).splitlines()[0]}. Mend the bundle.") from error
    if not change(content):
        return
    if config.suffix == ".json":
        write_text_aside(config, json.dumps(content, indent=2) + "\n")
        return
    out = io.StringIO()
    yaml.dump(content, out)
    write_text_aside(config, out.getvalue())


def place(content: Any, path: list[str], value: Any, where: str) -> None:
    """Put a value at a place in a config's content.

    Args:
        content: Mappings and lists, as `rewrite_config` gives them.
        path: Keys and list positions that lead there; all but the last must be there.
        value: As it is to be written.
        where: For the message.
    Raises: InvalidBundle: if the path leads nowhere.
    """
    for step in path[:-1]:
        content = _inside(content, step, where)
    last = path[-1]
    if isinstance(content, list):
        _inside(content, last, where)
        content[int(last)] = value
    elif isinstance(content, dict):
        _forget_comment(content, last)
        content[last] = value
    else:
        raise InvalidBundle(f"{where} leads into a single value. Check the key.")


def _forget_comment(content: Any, key: str) -> None:
    """Drop what stands between a key and the list or mapping over several lines that is replaced.

    It was about the first entry; behind an empty list, it would swallow the end of its line and the file be no YAML.
    """
    there = content.get(key)
    of_lines = isinstance(there, (CommentedMap, CommentedSeq)) and not there.fa.flow_style()
    if isinstance(content, CommentedMap) and of_lines:
        content.ca.items.pop(key, None)


def _inside(content: Any, step: str, where: str) -> Any:
    try:
        return content[int(step)] if isinstance(content, list) else content[step]
    except (KeyError, IndexError, ValueError, TypeError):
        raise InvalidBundle(f"{where} is not there, there is no '{step}'. Check the key.") from None


def flow(value: Any) -> Any:
    """Lists and mappings on one line, as the configs have them; text quoted where YAML 1.1, MONAI's, needs it."""
    if isinstance(value, Mapping):
        mapping = CommentedMap((key, flow(part)) for key, part in value.items())
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list):
        sequence = CommentedSeq(flow(part) for part in value)
        sequence.fa.set_flow_style()
        return sequence
    if isinstance(value, str):
        return value if value.isidentifier() and safe_load(value) == value else DoubleQuotedScalarString(value)
    return value


def _round_trip() -> YAML:
    yaml = YAML()
    yaml.width = 1_000_000
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    # As YAML 1.1 reads it, which is MONAI's: 1e-05 would be text there.
    yaml.representer.add_representer(
        float, lambda representer, value: representer.represent_scalar("tag:yaml.org,2002:float", _number(value))
    )
    return yaml


def _number(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' * (value < 0)}.inf"
    text = repr(value)
    return text.replace("e", ".0e", 1) if "e" in text and "." not in text else text
