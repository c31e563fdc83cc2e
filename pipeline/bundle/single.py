"""What a bundle trains: of an ensemble the network that can be, its outputs, from which masks, and what it keeps."""

from __future__ import annotations

from typing import Any

import yaml

from pipeline.bundle.find import Bundle

__all__ = ["deeply_supervised", "keeps_last", "knows_unions", "single_network"]


def deeply_supervised(bundle: Bundle) -> bool:
    """Whether a bundle's training wants several outputs of its network, for losses at several levels of the decoder."""
    network = yaml.safe_load(bundle.config("train").read_text(encoding="utf-8")).get("network_def")
    return isinstance(network, dict) and bool(network.get("deep_supervision"))


def keeps_last(bundle: Bundle) -> bool:
    """Whether a bundle's training keeps the weights of its last validation, and not of its best."""
    checkpoints = yaml.safe_load(bundle.config("train").read_text(encoding="utf-8")).get("checkpoints")
    return isinstance(checkpoints, dict) and checkpoints.get("keep") == "last"


def knows_unions(bundle: Bundle) -> bool:
    """Whether a bundle's training learns from masks that mark several of its classes as one."""
    return bool(yaml.safe_load(bundle.config("train").read_text(encoding="utf-8")).get("unions"))


def single_network(bundle: Bundle) -> dict[str, Any]:
    """The settings that let a bundle of an ensemble be trained, which is one network: that of its train config."""
    configs = [
        yaml.safe_load(bundle.config(kind).read_text(encoding="utf-8")).get("network_def") or {}
        for kind in ("train", "inference")
    ]
    ensemble = str(configs[1].get("_target_", "")).rpartition(".")[2] == "FoldEnsemble"
    return {"network_def": configs[0]} if ensemble else {}
