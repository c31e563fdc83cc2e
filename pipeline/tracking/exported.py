"""The config that MONAI has exported for the record."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["executed_config"]


def executed_config(said: str | None, output_dir: str | os.PathLike[str]) -> str | None:
    """The file that MONAI has exported the executed config to; for the artifacts in a bundle's `tracking.json`.

    MONAI (1.6) names it as ``output_dir + "/config_….json"`` in its config language, which is a path only where
    `output_dir` is an expression too, and not where it has been overridden with a path.

    Args:
        said: What `save_execute_config` came to.
        output_dir: What `output_dir` came to.
    """
    if said and Path(said).is_file():
        return said
    name = re.search(r"/(config_[^/']*\.json)", said or "")
    return str(Path(output_dir) / name[1]) if name else None
