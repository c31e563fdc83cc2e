"""OpenVINO, without what it would tell its makers."""

from __future__ import annotations

import importlib
import sys
from typing import Any

__all__ = ["load_openvino"]

# It converts models of other frameworks. Merely imported, it reports that over the network (openvino_telemetry);
# `openvino` imports it if it can.
_CONVERTER = "openvino.tools.ovc"


def load_openvino() -> Any:
    """The module, imported without its converter, unless somebody has imported it before.

    Raises: ImportError: if it is not installed, or does not load here.
    """
    kept = sys.modules.get(_CONVERTER)
    sys.modules[_CONVERTER] = kept  # type: ignore[assignment]  # None: whoever imports it is told that it is not there
    try:
        return importlib.import_module("openvino")
    finally:
        if sys.modules.get(_CONVERTER) is None:
            del sys.modules[_CONVERTER]
