"""Files of tensors, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pipeline.atomic import written_aside

__all__ = ["save_aside"]


def save_aside(content: Any, path: Path) -> None:
    """`torch.save`, whole or not at all.

    Raises: OSError: of the system, with the path, where torch tells of a full disk by the numbers of its own bytes.
    """
    with written_aside(path) as aside, aside.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
