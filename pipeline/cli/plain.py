"""Values that go into JSON."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["plain_json"]


def plain_json(value: Any) -> Any:
    """A value with null for the numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: plain_json(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
