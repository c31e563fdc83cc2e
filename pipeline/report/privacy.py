"""What must not be on a page that is given away."""

from __future__ import annotations

import re

__all__ = ["without_folders"]


# Names of folders may have blanks in them, such as a patient's; "x.png and" is the end of a path.
FOLDER = r"(?!\s)(?:(?!\.\w{1,6}[\s,:;])[^\\/:;\n])+[\\/]"
ROOT = r"(?<![\w.:/])(?:[A-Za-z]:[\\/]|[\\/]{1,2})"


def without_folders(text: str) -> str:
    """A line in which absolute paths are their last part: where files lie on a machine is nobody's business."""
    return re.sub(f"{ROOT}(?:{FOLDER})+", "", text)
