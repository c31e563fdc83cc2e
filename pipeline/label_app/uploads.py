"""What clients have sent lies in the temporary folder or in that of the sessions, and nowhere else."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["is_upload"]


def is_upload(image: str, sessions: str = "") -> bool:
    """Whether a name that a request carries is a file or folder that a client has sent.

    MONAI Label puts the path of what was sent where the id of an image stands otherwise; taken as it comes, it would
    let a client read any file of this machine.

    Args:
        image: What the request says.
        sessions: The folder of the sessions, or "".
    """
    path = Path(os.path.realpath(image))
    if not Path(image).is_absolute() or not path.exists():
        return False
    roots = [Path(os.path.realpath(root)) for root in (tempfile.gettempdir(), sessions) if root]
    return any(path != root and path.is_relative_to(root) for root in roots)
