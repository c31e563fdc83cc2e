"""What must not be on a page that is given away."""

from __future__ import annotations

import re

__all__ = ["without_folders"]


def without_folders(text: str) -> str:
    """A line in which absolute paths are their last part: where files lie on a machine is nobody's business."""
    return re.sub(r"(?<![\w.:/])(?:[A-Za-z]:[\\/]|[\\/]{1,2})(?:[^\s\\/:,;]+[\\/])+", "", text)
