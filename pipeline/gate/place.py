"""Where a bundle's gate is kept."""

from __future__ import annotations

from pathlib import Path

from pipeline.bundle import Bundle

__all__ = ["gate_path"]


def gate_path(bundle: Bundle) -> Path:
    """Where a bundle's gate is, there or not."""
    return bundle.root / "models" / "gate.json"
