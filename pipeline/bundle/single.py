"""Of a bundle that is an ensemble, the one network that can be trained."""

from __future__ import annotations

from typing import Any

import yaml

from pipeline.bundle.find import Bundle

__all__ = ["single_network"]


def single_network(bundle: Bundle) -> dict[str, Any]:
    """The settings that let a bundle of an ensemble be trained, which is one network: that of its train config."""
    configs = [
        yaml.safe_load(bundle.config(kind).read_text(encoding="utf-8")).get("network_def") or {}
        for kind in ("train", "inference")
    ]
    ensemble = str(configs[1].get("_target_", "")).rpartition(".")[2] == "FoldEnsemble"
    return {"network_def": configs[0]} if ensemble else {}
