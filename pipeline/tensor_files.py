"""Files of tensors: written whole or not at all, and read without running what else may be in them."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from pipeline.atomic import written_aside
from pipeline.errors import InvalidBundle

__all__ = ["read_state", "save_aside"]


def read_state(path: str | Path) -> dict[str, Any]:
    """What a checkpoint holds by name: tensors, or parts of a training that hold them.

    Raises: InvalidBundle: if the file is none. Torch's own words are of its unpickler, and advise to run whatever code
        is in the file.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that are not torch's
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception:  # torch has an error of its own for each way of being none
        raise _no_weights(path, _what_it_is(path)) from None
    if not isinstance(content, dict):
        raise _no_weights(path, f"it holds a {type(content).__name__}")
    return content


def _no_weights(path: Path, why: str) -> InvalidBundle:
    return InvalidBundle(
        f"{path}: no weights of a network: {why}. Expected a state dict of PyTorch: give a bundle that was trained, or "
        "its models/model.pt."
    )


def _what_it_is(path: Path) -> str:
    """What a file is that torch does not load, by its first bytes."""
    with path.open("rb") as file:
        first = file.read(2)
    if not first:
        return "it is empty"
    if first == b"PK" and not zipfile.is_zipfile(path):
        return "it is cut off or damaged"
    known = first == b"PK" or first.startswith(b"\x80")  # a zip file, or a pickle
    return "it is damaged, or holds other things than tensors" if known else "it is no file of PyTorch"


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
