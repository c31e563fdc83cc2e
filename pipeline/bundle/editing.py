"""Changing keys of a config and leaving all else in it, comments too, as it is."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
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

__all__ = ["edit_config"]


def edit_config(config: Path, changes: Mapping[str, Any]) -> None:
    """Set nested keys of a YAML or JSON config; a key whose first part the config does not have is left out.

    Args:
        config: The file; written only if something changes.
        changes: By MONAI's nested key, such as "network_def#norm" or "train#random_transforms#0#prob".
    Raises: InvalidBundle: if the file cannot be read, or a key leads nowhere in it.
    """
    text = config.read_text(encoding="utf-8")
    yaml = _round_trip()
    try:
        content = json.loads(text) if config.suffix == ".json" else yaml.load(text)
    except (ValueError, YAMLError) as error:
        raise InvalidBundle(f"{config.name}: cannot be read: {str(error).splitlines()[0]}. Mend the bundle.") from error
    known = {key: value for key, value in changes.items() if isinstance(content, dict) and split_key(key)[0] in content}
    if not known:
        return
    for key, value in known.items():
        _set(content, split_key(key), value, f"{config.name}: {key}")
    if config.suffix == ".json":
        write_text_aside(config, json.dumps(content, indent=2) + "\n")
        return
    out = io.StringIO()
    yaml.dump(content, out)
    write_text_aside(config, out.getvalue())


def _set(content: Any, path: list[str], value: Any, where: str) -> None:
    for step in path[:-1]:
        content = _inside(content, step, where)
    last = path[-1]
    if isinstance(content, list):
        _inside(content, last, where)
        content[int(last)] = _flow(value)
    elif isinstance(content, dict):
        content[last] = _flow(value)
    else:
        raise InvalidBundle(f"{where} leads into a single value. Check the key.")


def _inside(content: Any, step: str, where: str) -> Any:
    try:
        return content[int(step)] if isinstance(content, list) else content[step]
    except (KeyError, IndexError, ValueError, TypeError):
        raise InvalidBundle(f"{where} is not there, there is no '{step}'. Check the key.") from None


def _flow(value: Any) -> Any:
    """Lists and mappings on one line, as the configs have them; text quoted where YAML 1.1, MONAI's, needs it."""
    if isinstance(value, Mapping):
        mapping = CommentedMap((key, _flow(part)) for key, part in value.items())
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list):
        sequence = CommentedSeq(_flow(part) for part in value)
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
    return yaml
