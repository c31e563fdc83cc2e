"""A handler that a config shares between engines or refers to from elsewhere."""

from __future__ import annotations

from typing import Any

__all__ = ["Attached"]


class Attached:
    """Attaches another handler.

    MONAI's `check_properties` expects each of `train#handlers` to be a mapping with a `_target_`, so a bundle cannot
    name an object of its own there, as in `"@checkpoints"`; this makes it one.

    Args:
        handler: Anything with `attach(engine)`.
    """

    def __init__(self, handler: Any) -> None:
        self.handler = handler

    def attach(self, engine: Any) -> None:
        """Attach the handler to an engine."""
        self.handler.attach(engine)
